"""Coroutine functions that run at intervals of monotonic time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

logger = logging.getLogger("runfold")


class Ticker:
    """Runs coroutine functions at intervals that the wall clock does not change.

    A computer's clock may be set back by an hour, and a schedule by the wall clock then rests for
    as long.
    """

    def __init__(self) -> None:
        self._work: list[tuple[float, Callable[[], Awaitable[None]], str]] = []
        self._tasks: list[asyncio.Task[None]] = []
        # The tasks that wait for their next turn.
        self._resting: set[asyncio.Task[None]] = set()
        self._is_stopped = False

    def every(self, seconds: float, work: Callable[[], Awaitable[None]], name: str) -> None:
        """Adds work that runs `seconds` after the start, and as long after each of its ends."""
        self._work.append((seconds, work, name))

    def start(self) -> None:
        """Starts to run the work; needs a running event loop."""
        self._tasks = [
            asyncio.create_task(self._repeat(seconds, work, name))
            for seconds, work, name in self._work
        ]

    async def stop(self) -> None:
        """Lets work that is running finish, and runs no more."""
        self._is_stopped = True
        for task in self._resting:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _repeat(self, seconds: float, work: Callable[[], Awaitable[None]], name: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        while not self._is_stopped:
            self._resting.add(task)
            await asyncio.sleep(seconds)
            self._resting.discard(task)
            try:
                await work()
            except Exception:
                logger.exception("%s failed, and runs again when it is next due", name)
