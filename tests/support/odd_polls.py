"""A service that answers as a case says, and a tracker that polls it beside good runs."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from projections import Views
from tests.support.command_line import runfold, write_lines
from tests.support.loopback import listening
from tests.support.odd_documents import check_good_runs, find_differences, good_runs, make_input
from tests.support.scripted_server import NOTHING
from tests.support.tracker_settings import QUICK
from tracker import Tracker
from tracker.errors import RunfoldError
from tracker.event_store.store import RecordedEvent
from tracker.sources import AgentTurns, Assistants, HttpSource, LangGraph, Responses

# Of `expect`, the columns of the polled run.
_COLUMNS = ("status", "outcome", "error_code", "error_message", "thread_id", "total_tokens")


class CaseServer:
    """A service that gives the answers to each request in order, the last one again and again.

    An answer has `asked` (method and path), `status` and `body`: a text as it is, or a document.
    Requests for steps get none unless there is an answer to them.
    """

    def __init__(self, answers: Sequence[Mapping[str, Any]]) -> None:
        self.asked: list[str] = []
        # The head and the body of each request.
        self.requests: list[tuple[str, bytes]] = []
        self._answers: dict[str, list[Mapping[str, Any]]] = {}
        for answer in answers:
            self._answers.setdefault(answer["asked"], []).append(answer)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers the requests of a connection."""
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            body = await reader.readexactly(int(length[1])) if length else b""
            self.requests.append((head.decode(), body))
            asked = f"{method} {target.partition('?')[0]}"
            self.asked.append(asked)
            writer.write(_encode(self._next(asked)))
            await writer.drain()

    def count(self, asked: str) -> int:
        """Returns how often this was asked."""
        return self.asked.count(asked)

    def _next(self, asked: str) -> Mapping[str, Any]:
        answers = self._answers.get(asked)
        if answers is not None:
            return answers.pop(0) if len(answers) > 1 else answers[0]
        if asked.endswith("/steps"):
            return {"status": 200, "body": NOTHING}
        return {"status": 404, "body": {"error": {"message": f"nothing at {asked}"}}}


@dataclass
class Polled:
    """Result of polling one run: requests, events, and the errors met."""

    asked: int = 0
    asked_after_end: int = 0
    wait_returned: bool = False
    watched: int = 0
    events: list[RecordedEvent] = field(default_factory=list)
    troubles: dict[str, RunfoldError] = field(default_factory=dict)


def poll(
    url: str,
    answers: Sequence[Mapping[str, Any]],
    *,
    looks: int | None = None,
    seconds: float = 120.0,
) -> Polled:
    """Polls the run of the first answer until it has ended, or was looked at often enough.

    `looks` is the number of its answers unless it is given. Gives up after `seconds`.
    """
    return asyncio.run(_poll(url, answers, looks, seconds))


def check_poll(case: Mapping[str, Any], url: str, folder: Path) -> None:
    """Polls the run of a case beside good runs, and compares the result with the right answer."""
    expected = case["expect"]
    file = write_lines(folder / "good.jsonl", *good_runs())
    assert runfold("import", file, "--db", url).code == 0
    polled = poll(url, make_input(case), looks=expected.get("looks"))
    check_good_runs(url)
    if "wait_returns" in expected:
        assert polled.wait_returned is expected["wait_returns"]
    if "polled_after_its_end" in expected:
        assert (polled.asked_after_end > 0) is expected["polled_after_its_end"]
    if "looks" in expected:
        assert polled.asked >= expected["looks"]
    if "metadata_changes" in expected:
        topics = [it.event.topic for it in polled.events]
        assert topics.count("run.metadata_changed") == expected["metadata_changes"]
    columns = {name: expected[name] for name in _COLUMNS if name in expected}
    if columns:
        with Views(url) as views:
            good = {body["id"] for body in good_runs()}
            [row] = [row for row in views.runs() if row.run_id not in good]
        assert find_differences(row, columns) == {}


async def _poll(
    url: str, answers: Sequence[Mapping[str, Any]], looks: int | None, seconds: float
) -> Polled:
    first = answers[0]["asked"]
    enough = looks or sum(answer["asked"] == first for answer in answers)
    server, polled = CaseServer(answers), Polled()
    thread_id, run_id = _ids_of(first)
    async with listening(server.serve) as port:
        source = _source_of(answers[0], f"http://127.0.0.1:{port}")
        async with Tracker(url, source, cadence=QUICK) as tracker:
            await tracker.watch(thread_id, run_id)
            wait = asyncio.create_task(tracker.wait(run_id, timeout=seconds))
            # One more: the last answer was then taken.
            for _ in range(int(seconds / 0.02)):
                if wait.done() or server.count(first) > enough:
                    break
                await asyncio.sleep(0.02)
            polled.wait_returned = wait.done() and wait.exception() is None
            wait.cancel()
            polled.asked = server.count(first)
            if polled.wait_returned:
                await asyncio.sleep(0.5)
                polled.asked_after_end = server.count(first) - polled.asked
            polled.watched = len(tracker.watching)
            polled.events = tracker.history(run_id)
            polled.troubles = dict(tracker.troubles)
    return polled


def _ids_of(asked: str) -> tuple[str | None, str]:
    segments = asked.split("/")
    places = {"threads": 1, "sessions": 1}
    thread = next((segments[segments.index(it) + 1] for it in places if it in segments), None)
    return thread, segments[-1]


def _source_of(answer: Mapping[str, Any], address: str) -> HttpSource:
    path = answer["asked"].partition(" ")[2]
    prefix = "/v1" if path.startswith("/v1/") else ""
    if "/responses/" in path:
        return Responses(address + prefix)
    if "/sessions/" in path:
        return AgentTurns(address + prefix)
    body = answer["body"]
    is_graph = isinstance(body, Mapping) and "run_id" in body
    return LangGraph(address + prefix) if is_graph else Assistants(address + prefix)


def _encode(answer: Mapping[str, Any]) -> bytes:
    body = answer["body"]
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    media_type = answer.get("type", "application/json")
    head = (
        f"HTTP/1.1 {answer.get('status', 200)} Said\r\n"
        f"{f'Content-Type: {media_type}{chr(13)}{chr(10)}' if media_type else ''}"
        f"Date: {datetime.now(UTC):%a, %d %b %Y %H:%M:%S} GMT\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content
