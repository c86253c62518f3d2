"""Calls of functions that use the store, in worker threads, until the tracker is left."""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition
from typing import ParamSpec, TypeVar

from tracker.errors import StoreUnavailable
from tracker.runtime.worker_threads import WorkerThreads

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class StoreAccess:
    """Calls functions in worker threads. A database must not be closed while one uses it."""

    def __init__(self, threads: WorkerThreads) -> None:
        self._threads = threads
        self._condition = Condition()
        self._calls = 0
        self._is_closed = False

    async def run(
        self,
        work: Callable[Arguments, Result],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """Returns the result of a function. Raises StoreUnavailable once it is closed."""

        def call() -> Result:
            with self._condition:
                if self._is_closed:
                    raise StoreUnavailable("the tracker is closing: nothing more is delivered")
                self._calls += 1
            try:
                return work(*args, **kwargs)
            finally:
                with self._condition:
                    self._calls -= 1
                    self._condition.notify_all()

        return await self._threads.run(call)

    def close(self) -> None:
        """Waits for the calls that have begun, and refuses others."""
        with self._condition:
            self._is_closed = True
            self._condition.wait_for(lambda: not self._calls)
