"""One response by every way into the tracker, many times each: counted and corrected once."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from projections import Views
from tests.support.command_line import runfold
from tests.support.scripted_server import Reply, ScriptedServer
from tracker import Tracker
from tracker.core.events import RunUsageReported
from tracker.polling.policy.cadence import Cadence
from tracker.sources import Responses
from tracker.webhooks import sign

pytestmark = pytest.mark.integration

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
POLLS = 50
CREATED = datetime(2026, 11, 24, 12, 0, 7, tzinfo=UTC)


def response(status: str, **more: Any) -> dict[str, Any]:
    created = int(CREATED.timestamp())
    known = {"id": "resp_1", "object": "response", "created_at": created, "model": "gpt-5"}
    return {**known, "status": status, "background": True, "output": [], "usage": None, **more}


def usage(into: int, out: int) -> dict[str, int]:
    return {"input_tokens": into, "output_tokens": out, "total_tokens": into + out}


def completed(into: int, out: int) -> dict[str, Any]:
    at = int(CREATED.timestamp()) + 30
    return response("completed", completed_at=at, usage=usage(into, out))


def rows(url: str, query: str) -> Sequence[Any]:
    given = make_url(url)
    if given.drivername == "postgresql":
        given = given.set(drivername="postgresql+psycopg")
    engine = create_engine(given)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return found


def counted(url: str) -> list[Sequence[Any]]:
    """What each table says of runs and tokens in and out."""
    with Views(url) as views:
        views.upgrade()
        views.catch_up()
        assert views.verify() == []
    tokens = "prompt_tokens, completion_tokens, total_tokens"
    return [
        rows(url, f"SELECT run_id, {tokens} FROM runs"),
        rows(url, f"SELECT runs, runs_without_usage, {tokens} FROM usage_totals"),
        rows(url, f"SELECT runs, runs_without_usage, {tokens} FROM usage_hourly"),
    ]


def webhook(number: int) -> tuple[bytes, dict[str, str]]:
    event = {"id": f"evt_{number}", "object": "event", "type": "response.completed"}
    body = json.dumps({**event, "data": {"id": "resp_1"}}).encode()
    return body, sign(body, SECRET, f"wh_{number}", datetime.now(UTC))


def imported(folder: Path, url: str, seen_at: datetime, *bodies: dict[str, Any]) -> None:
    file = folder / "lines.jsonl"
    seen = {"observed_at": seen_at.isoformat(), "source": "responses"}
    file.write_text("".join(json.dumps({**seen, "body": body}) + "\n" for body in bodies), "utf-8")
    assert runfold("import", file, "--db", url).code == 0


async def streamed(tracker: Tracker, *bodies: dict[str, Any]) -> None:
    async def events() -> Any:
        for number, body in enumerate(bodies):
            kind = f"response.{body['status']}"
            yield {"type": kind, "sequence_number": number, "response": body}

    assert [event async for event in tracker.observing(events())]


def test_a_response_is_counted_once_through_all_doors(database_url: str, tmp_path: Path) -> None:
    async def first() -> None:
        queued, working = response("queued"), response("in_progress")
        replies = [
            Reply(200, queued),
            *[Reply(200, working)] * POLLS,
            Reply(200, completed(100, 20)),
        ]
        service = ScriptedServer(*replies)
        quick = Cadence(shortest=0.02, longest=0.05, start=500.0)
        async with (
            service.serving() as url,
            Tracker(database_url, Responses(url), cadence=quick) as tracker,
        ):
            made = await tracker.responses.create(model="gpt-5", input="Hi")
            state = await tracker.wait(made.id, timeout=300)
            assert state.status == "completed"
            assert len(service.heads) > POLLS
            for number in range(5):
                assert await tracker.webhook(*webhook(number), secret=SECRET) == state
                assert tracker.observe(completed(100, 20)) == []
            await tracker.responses.retrieve(made.id)
            await streamed(tracker, queued, working, completed(100, 20))

    asyncio.run(first())
    looks = response("queued"), completed(100, 20), completed(100, 20)
    seen_at = datetime.now(UTC)
    imported(tmp_path, database_url, seen_at, *looks)
    once = [[("resp_1", 100, 20, 120)], [(1, 0, 100, 20, 120)], [(1, 0, 100, 20, 120)]]
    assert counted(database_url) == once

    async def later() -> None:
        source = Responses("http://127.0.0.1:9/v1")
        async with Tracker(database_url, source) as tracker:
            before = len(tracker.history("resp_1"))
            # A correction, through one door and then through the others.
            [corrected] = tracker.observe(completed(90, 25))
            assert isinstance(corrected, RunUsageReported)
            assert corrected.previous is not None
            assert (corrected.previous.total_tokens, corrected.usage.total_tokens) == (120, 115)
            await streamed(tracker, completed(90, 25), completed(100, 20))
            whole = json.dumps({"type": "response.completed", "data": completed(90, 25)}).encode()
            headers = sign(whole, SECRET, "wh_whole", datetime.now(UTC))
            assert await tracker.webhook(whole, headers, secret=SECRET) is not None
            recorded = tracker.history("resp_1")
            assert len(recorded) == before + 1
            assert recorded[-1].event == corrected

    asyncio.run(later())
    # Seen before the correction.
    imported(tmp_path, database_url, seen_at, completed(90, 25), completed(100, 20))
    assert counted(database_url) == [
        [("resp_1", 90, 25, 115)],
        [(1, 0, 90, 25, 115)],
        [(1, 0, 90, 25, 115)],
    ]
