"""Two trackers on one PostgreSQL database that have divided its shards."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import psycopg

from tests.support.tracker_settings import QUICK
from tests.support.waiting import until
from tracker import Tracker
from tracker.errors import NotFound
from tracker.leases.shards import SHARDS, shard_of
from tracker.simulator import Simulator
from tracker.sources import Answer, Assistants


class Counting(Assistants):
    """A source that counts the polls of each run; runs in `gone` are not found."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url=base_url, api_key="key-4f1d9c22b7")
        self.asked: Counter[str] = Counter()
        self.gone: set[str] = set()

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        self.asked[run_id] += 1
        if run_id in self.gone:
            raise NotFound(f"no run {run_id}")
        return await super().fetch(thread_id, run_id, known)


def execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Runs a statement, and returns its rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def count_shards(url: str) -> list[int]:
    """Returns the number of shards of each tracker."""
    statement = "SELECT count(*) FROM runfold_leases WHERE worker IS NOT NULL GROUP BY worker"
    return [number for (number,) in execute(url, statement)]


class _Divided(logging.Handler):
    """Log records of trackers that have come to hold a half of the shards."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        logging.getLogger("runfold.leases").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a record of the division."""
        if record.getMessage().endswith(f": {SHARDS // 2} held"):
            self.found.append(record.getMessage())


class Pair:
    """Two trackers on one database that have divided its shards, and their sources."""

    def __init__(self, url: str, simulator: Simulator) -> None:
        self.url, self.simulator = url, simulator
        self.sources = [Counting(simulator.base_url) for _ in range(2)]
        self.trackers = [Tracker(url, source, cadence=QUICK) for source in self.sources]
        self._divided = _Divided()

    async def wait_until_divided(self) -> None:
        """Returns once each tracker polls a half of the shards, and knows which."""
        await until(lambda: len(self._divided.found) == 2)
        assert count_shards(self.url) == [SHARDS // 2] * 2

    def owned_shards(self) -> set[int]:
        """Returns the shards of the first tracker."""
        rows = execute(
            self.url,
            "SELECT shard, worker FROM runfold_leases ORDER BY since, shard",
        )
        return {shard for shard, worker in rows if worker == rows[0][1]}

    def threads(self, number: int) -> list[tuple[str, int]]:
        """Creates threads; returns each with the index of the tracker that polls it."""
        first = self.owned_shards()
        made = [self.simulator.create_thread() for _ in range(number)]
        return [(it, int(shard_of("assistants", it).number not in first)) for it in made]


def run_pair(url: str, simulator: Simulator, work: Callable[[Pair], Awaitable[None]]) -> None:
    """Runs work with a pair of trackers that have divided the shards."""

    async def scenario() -> None:
        pair = Pair(url, simulator)
        async with AsyncExitStack() as stack:
            for tracker in pair.trackers:
                await stack.enter_async_context(tracker)
            await pair.wait_until_divided()
            await work(pair)

    asyncio.run(scenario())
