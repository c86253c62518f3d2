"""An event loop whose time jumps, and whose callbacks know their process."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from random import Random
from typing import Any

from tests.simulation.process import CURRENT
from tests.simulation.thread_call import ThreadCall


class _Jumping(selectors.SelectSelector):
    """Waits for nothing; `passed` are the seconds that would have been waited."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits for something that cannot come")
        self.passed += max(timeout, 0.0)
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """The one thread of the simulation, in which all processes and their threads run."""

    def __init__(self, random: Random) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)
        self._random = random
        self.set_task_factory(_make_task)

    def time(self) -> float:
        """Returns the seconds since the start, as if they had passed."""
        return self._jumping.passed

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        context = copy_context() if context is None else context
        process = context.get(CURRENT)
        if process is None:
            return super().call_soon(callback, *args, context=context)
        return super().call_soon(process.call, callback, args, context, context=context)

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        context = copy_context() if context is None else context
        process = context.get(CURRENT)
        if process is None:
            return super().call_at(when, callback, *args, context=context)
        return super().call_at(when, process.call, callback, args, context, context=context)

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Calls a function in a simulated thread, after some time; the executor is not used."""
        random = self._random
        # Seldom, the machine is busy.
        rate = 400.0 if random.random() < 0.97 else 1.0
        delays = random.expovariate(rate), random.expovariate(rate)
        return ThreadCall(self, partial(func, *args), delays, random.random() < 0.5).start()


def _make_task(loop: asyncio.AbstractEventLoop, work: Any, **settings: Any) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **settings)
    context = settings.get("context")
    process = CURRENT.get() if context is None else context.get(CURRENT)
    if process is not None:
        process.tasks.add(task)
    return task
