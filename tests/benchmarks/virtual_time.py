"""An event loop whose time jumps to the next due call."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar

from tracker.runtime.worker_threads import WorkerThreads

T = TypeVar("T")
Arguments = ParamSpec("Arguments")

_START = datetime(2026, 1, 1, tzinfo=UTC)


class _Jumping(selectors.SelectSelector):
    """Waits for nothing; what would have been waited is `passed`, in seconds."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits for something that cannot come")
        if not ready and timeout:
            self.passed += timeout
        return ready


class CallersThread(WorkerThreads):
    """Runs what is handed to a thread in the caller's: no time passes meanwhile."""

    async def run(
        self,
        work: Callable[Arguments, T],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> T:
        return work(*args, **kwargs)


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop, and the clock that goes with it, for a tracker and for a simulator."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds since the loop was made, as if they had passed."""
        return self._jumping.passed


class VirtualClock:
    """The time of a loop."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        """The moment that it would be."""
        return _START + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        """The time of the loop."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Lets so much of it pass."""
        await asyncio.sleep(seconds)


def run(main: Callable[[VirtualClock], Coroutine[Any, Any, T]]) -> T:
    """What `main` returns, given the clock that it and all it awaits live by."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main(VirtualClock(loop)))
    finally:
        loop.close()
