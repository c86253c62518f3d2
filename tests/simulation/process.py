"""A process of the simulated machine, with its clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakSet

START = datetime(2025, 1, 1, tzinfo=UTC)
# The process that the running code belongs to; None for the simulation itself.
CURRENT: ContextVar[Process | None] = ContextVar("process", default=None)

Parked = tuple[Callable[..., object], tuple[Any, ...], Context]


class Process:
    """A process. Its callbacks are dropped once it is killed, and wait while it is paused.

    It is the clock of its code too: the wall time may be wrong, and be set while it runs.
    """

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        self.name = name
        self.is_dead = self.is_paused = False
        # Seconds that its clock is ahead, and by how much it gains in each second.
        self.offset = self.drift = 0.0
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._loop = loop
        self._parked: list[Parked] = []
        # Tasks of a killed process: none must be finalised, which would run their `finally`.
        self._held: list[object] = []

    def now(self) -> datetime:
        """Returns the wall time by its clock."""
        passed = self._loop.time()
        return START + timedelta(seconds=passed * (1 + self.drift) + self.offset)

    def monotonic(self) -> float:
        """Returns the seconds since the start of the simulation."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Returns after `seconds`."""
        await asyncio.sleep(seconds)

    def run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Starts a coroutine as code of this process."""
        context = Context()
        context.run(CURRENT.set, self)
        return self._loop.create_task(work, context=context)

    def call(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context
    ) -> None:
        """Calls a callback of the process, or keeps it, or drops it."""
        if self.is_dead:
            return
        if self.is_paused:
            self._parked.append((callback, args, context))
            return
        callback(*args)

    def kill(self) -> None:
        """Stops the process at once and without its knowledge."""
        self.is_dead = True
        self._held += [*self.tasks, *self._parked]

    def pause(self) -> None:
        """Stops the process until `resume`."""
        self.is_paused = True

    def resume(self) -> None:
        """Lets a paused process go on; its callbacks that were due are late."""
        self.is_paused = False
        parked, self._parked = self._parked, []
        for callback, args, context in parked:
            self._loop.call_soon(callback, *args, context=context)
