"""A backfill as a process that kills itself: `killed_backfill URL BASE_URL THREAD NUMBER`."""

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.tracker_settings import QUICK
from tracker import Tracker
from tracker.sources import Assistants
from tracker.sources.answer import Answer


class Counting(Assistants):
    """A source that counts its requests, and kills its process after a number of step reads."""

    def __init__(self, base_url: str, *, dies_after: int | None = None) -> None:
        super().__init__(base_url, "key-4f1d9c22b7")
        self.pages: list[str | None] = []
        self.steps_of: list[str] = []
        self.dies_after = dies_after

    async def fetch_runs(
        self, thread_id: str, after: str | None = None
    ) -> tuple[Answer, Sequence[Mapping[str, Any]], str | None]:
        self.pages.append(after)
        return await super().fetch_runs(thread_id, after)

    async def fetch_steps(
        self, thread_id: str | None, run_id: str, after: str | None = None
    ) -> tuple[Answer, Sequence[Mapping[str, Any]], str | None]:
        if len(self.steps_of) == self.dies_after:
            signal.raise_signal(signal.SIGKILL)
        self.steps_of.append(run_id)
        return await super().fetch_steps(thread_id, run_id, after)


def tracker_of(url: str, api: Counting) -> Tracker:
    """Returns a tracker that takes up no run of its own accord."""
    return Tracker(url, api, cadence=QUICK, resume=False)


async def main(url: str, base_url: str, thread: str, number: int) -> None:
    """Backfills a thread, and dies once the steps of `number` runs were read."""
    async with tracker_of(url, Counting(base_url, dies_after=number)) as tracker:
        await tracker.backfill(thread)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4], int(sys.argv[4])))
