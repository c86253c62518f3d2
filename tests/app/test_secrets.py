"""Secrecy of keys: none is shown or stored, whatever the service does with it."""

import asyncio
import logging
import traceback
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.support.scripted_server import ScriptedServer, SkippingClock, error, run_of
from tests.support.tracker_settings import QUICK
from tests.support.waiting import until
from tracker import Tracker
from tracker.errors import SourceError
from tracker.sources import Assistants

pytestmark = pytest.mark.integration

KEY = "sk-test-4f1d9c22b7-7e0a"
GATEWAY = "gate-99887766-4f1d9c22b7"
IN_QUERY = "q/55+aa 4f1d9c22b7==0f"


def says(status: int) -> str:
    """What services say: the key that they were given, alone and as the header they read."""
    return (
        f"{status}: not with {KEY}, Authorization: Bearer {KEY}, x-gate-key: {GATEWAY}, {IN_QUERY}"
    )


REFUSALS = [
    error(status, says(status), {"X-Request-Id": "req_1"})
    for status in (401, 403, 408, 409, 429, 500, 503, 529, 302)
]
SPOILT = [run_of("queued", id=f"run_{KEY}"), error(200, says(200))]
# Three refusals in a row, or two denials, would be the end of it.
OTHERS = [error(400, says(400)), error(404, says(404))]


def test_a_key_is_shown_and_kept_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    replies = [run_of("queued"), *REFUSALS, *SPOILT, *OTHERS, run_of("in_progress")]
    service, clock = ScriptedServer(*replies), SkippingClock()

    async def scenario() -> None:
        async with service.serving() as url:
            api = Assistants(
                url,
                KEY,
                headers={"x-gate-key": GATEWAY},
                params={"subscription-key": IN_QUERY},
                api_version="2025-05-01",
                clock=clock,
            )
            tracker = Tracker(f"sqlite:///{tmp_path}/runs.db", api, cadence=QUICK, clock=clock)
            async with tracker:
                await tracker.watch("thread_1", "run_1")
                waiting = asyncio.create_task(tracker.wait("run_1"))
                for number in range(len(replies)):
                    await until(lambda number=number: len(service.heads) > number)
                    await asyncio.sleep(0.3)
                    shown.extend(map(repr, (tracker, api, tracker.sources_status())))
                    for trouble in tracker.troubles.values():
                        shown.extend((repr(trouble), "".join(traceback.format_exception(trouble))))
                    clock.skip(61)
                with pytest.raises(SourceError) as refused:
                    await waiting
                shown.append("".join(traceback.format_exception(refused.value)))
                tracker.watch_thread("thread_1", every=0.1)
                service.replies = [error(401, says(401))]
                await until(lambda: len(service.heads) > len(replies))
                await asyncio.sleep(0.5)
                shown.append(repr(tracker.sources_status()))
                service.steps = error(403, says(403))
                service.replies = [run_of("completed")]
                clock.skip(61)
                assert (await tracker.wait("run_1", timeout=300)).status == "completed"
                await until(lambda: "reading steps is paused for 60 s" in caplog.text)
                shown.extend(repr(entry) for entry in tracker.history("run_1"))
                shown.append(repr(tracker.sources_status()))

    asyncio.run(scenario())
    assert any(KEY.encode() in head and GATEWAY.encode() in head for head in service.heads)
    sent = quote_plus(IN_QUERY)
    assert all(f"subscription-key={sent}".encode() in head for head in service.heads)
    # httpx logs every address.
    assert "?api-version=2025-05-01&subscription-key=*** " in caplog.text
    # All of it happened, and was told.
    for status in (401, 403, 404, 408, 409, 429, 500, 503, 529, 302):
        assert f"answered {status}" in "\n".join(shown), status
    assert "reading steps is paused for 60 s" in caplog.text
    out, err = capfd.readouterr()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for where in ("\n".join(shown), caplog.text, out, err, kept.decode("latin-1")):
        for secret in (KEY, GATEWAY, KEY[8:], "Bearer sk", IN_QUERY, sent, quote(IN_QUERY)):
            assert secret not in where
