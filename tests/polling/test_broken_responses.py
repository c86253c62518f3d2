"""Broken responses of each kind: the run is unchanged and polled again.

Each answer of the transport's tests, between two good ones, and on a page of several runs.
"""

import asyncio
import json
from collections import Counter

import pytest

from tests.support.faulty_server import FAULTS, served, whole, writes
from tests.support.scripted_server import run_of
from tests.support.tracker_settings import QUICK
from tracker import Tracker
from tracker.core.events import RunCompleted, RunCreated, RunStatusChanged
from tracker.errors import Misconfigured
from tracker.sources import Assistants

pytestmark = pytest.mark.integration

ROWS = [name for name, (_, kind, _) in FAULTS.items() if kind is not Misconfigured]
OF_PAGES = ("slow drip", "truncated by length", "huge, in chunks", "gzip bomb", "bad gzip")


def encode(status: str) -> bytes:
    return json.dumps(run_of(status).document).encode()


def encode_page(status: str) -> bytes:
    runs = [{**run_of(status).document, "id": f"run_{number}"} for number in (1, 2)]
    return json.dumps({"object": "list", "data": runs, "has_more": False}).encode()


@pytest.mark.parametrize(
    ("runs", "fault"), [*((1, fault) for fault in ROWS), *((2, fault) for fault in OF_PAGES)]
)
def test_the_run_is_unchanged_and_asked_about_again(runs: int, fault: str) -> None:
    spoilt = FAULTS[fault][0]
    shown = Counter[str]()

    async def answer(writer: asyncio.StreamWriter) -> None:
        path = heads[-1].split(b" ")[1]
        if b"/steps" in path:
            await writes(whole(b'{"object": "list", "data": []}'))(writer)
            return
        shown["asked"] += 1
        if shown["working"] < runs:
            status = "in_progress"
        elif shown["spoilt"] < 2:
            shown["spoilt"] += 1
            await spoilt(writer)
            return
        else:
            status = "completed"
        shown["working"] += 1
        is_page = path.split(b"?")[0].endswith(b"/runs")
        body = encode_page(status) if is_page else encode(status)
        await writes(whole(body.replace(b"run_1", b"run_2") if b"run_2" in path else body))(writer)

    async def scenario(url: str) -> None:
        api = Assistants(url, deadline=2.0 if fault in ("slow drip", "silence") else 60.0)
        async with Tracker("memory://", api, cadence=QUICK) as tracker:
            names = [f"run_{number + 1}" for number in range(runs)]
            for name in names:
                await tracker.watch("thread_1", name)
            for name in names:
                assert (await tracker.wait(name, timeout=300)).status == "completed"
                kinds = [type(entry.event) for entry in tracker.history(name)]
                assert kinds == [RunCreated, RunStatusChanged, RunCompleted]
            status = tracker.sources_status()["assistants"]
            assert status.failed >= 2
            assert isinstance(status.last_error, str)

    async def main() -> None:
        nonlocal heads
        async with served(answer) as (url, heads):
            await scenario(url)

    heads: list[bytes] = []
    asyncio.run(main())
    assert shown["spoilt"] == 2
