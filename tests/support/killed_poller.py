"""A tracker that a test kills: it polls the runs that a file lists, line by line."""

import asyncio
from pathlib import Path

from tracker import Tracker
from tracker.errors import UnknownRun
from tracker.polling.policy.cadence import Cadence
from tracker.sources import Assistants

CADENCE = Cadence(shortest=0.05, longest=0.5, start=60.0)
# The last line of the file, once no more runs are to come.
THAT_IS_ALL = "that is all"


def poll(url: str, base_url: str, api_key: str, listed: Path) -> None:
    """Polls until all listed runs have ended and their steps are read, or it is killed."""
    asyncio.run(_poll(url, base_url, api_key, listed))


async def _poll(url: str, base_url: str, api_key: str, listed: Path) -> None:
    api = Assistants(base_url, api_key, deadline=0.8)
    async with Tracker(url, api, cadence=CADENCE) as tracker:
        known: dict[str, str] = {}
        is_all = False
        while not is_all:
            lines = _lines(listed)
            is_all = THAT_IS_ALL in lines
            for line in lines:
                if line != THAT_IS_ALL and line not in known:
                    thread_id, known[line] = line.split()
                    await _watch(tracker, thread_id, known[line])
            await asyncio.sleep(0.05)
        for run_id in known.values():
            await tracker.wait(run_id, timeout=300)
        await tracker.drain(120)


def _lines(listed: Path) -> list[str]:
    # What follows the last line break is a line that is being written.
    return listed.read_text().split("\n")[:-1]


async def _watch(tracker: Tracker, thread_id: str, run_id: str) -> None:
    try:
        tracker.history(run_id)
    except UnknownRun:
        await tracker.watch(thread_id, run_id)
