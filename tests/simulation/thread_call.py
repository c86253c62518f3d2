"""A call in a simulated thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, ClassVar

from tests.simulation.process import CURRENT


class Killed(BaseException):
    """Ends a call of a process that was killed within it."""


class Blocked(BaseException):
    """Ends a call that waits: it is repeated when one of `waiting` is woken, or at its deadline."""

    def __init__(self, waiting: list[ThreadCall]) -> None:
        super().__init__()
        self.waiting = waiting


class ThreadCall:
    """A call that happens a while later, all at once; its result comes back a while after that.

    If its process is killed meanwhile, it happens, or not.
    """

    # The call that is happening.
    current: ClassVar[ThreadCall | None] = None

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Callable[[], Any],
        delays: tuple[float, float],
        ends_with_process: bool,
    ) -> None:
        self.deadline: float | None = None
        self._loop, self._work, self._delays = loop, work, delays
        self._ends_with_process = ends_with_process
        self._process, self._context = CURRENT.get(), copy_context()
        self._future: asyncio.Future[Any] = loop.create_future()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> asyncio.Future[Any]:
        """Plans the call. Returns the future of its result."""
        self._plan(self._delays[0])
        return self._future

    def wake(self, delay: float) -> None:
        """Repeats a call that waits."""
        if self._timer is not None:
            self._timer.cancel()
        self._plan(delay)

    def _plan(self, delay: float) -> None:
        # Threads of a killed process may finish what they do, so this is no callback of it.
        self._timer = self._loop.call_later(delay, self._happen, context=Context())

    def _happen(self) -> None:
        process = self._process
        if process is not None and process.is_dead and self._ends_with_process:
            return
        if process is not None and process.is_paused:
            # Resumed with the others of its process.
            process.call(self._happen, (), Context())
            return
        before, ThreadCall.current = ThreadCall.current, self
        try:
            result = self._context.run(self._work)
        except Blocked as blocked:
            blocked.waiting.append(self)
            assert self.deadline is not None
            self._plan(max(self.deadline - self._loop.time(), 0.0))
        except Killed:
            return
        except BaseException as error:
            self._return(None, error)
        else:
            self._return(result, None)
        finally:
            ThreadCall.current = before

    def _return(self, result: Any, error: BaseException | None) -> None:
        def settle() -> None:
            if self._future.done():
                return
            if error is None:
                self._future.set_result(result)
            else:
                self._future.set_exception(error)

        self._loop.call_later(self._delays[1], settle, context=self._context)
