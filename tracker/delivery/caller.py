"""Calls of handlers: coroutine functions on the event loop, other functions in threads."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections import deque
from contextlib import suppress
from functools import partial
from typing import Any

from tracker.delivery.handlers import Delivery, Handler
from tracker.runtime.worker_threads import ExitSafeExecutor

Call = asyncio.Future[object]


class HandlerCaller:
    """Calls the handlers of one name; functions that may block get up to `concurrency` threads.

    To be used on one event loop.
    """

    def __init__(self, name: str, concurrency: int) -> None:
        self._name, self._concurrency = name, concurrency
        self._threads: ExitSafeExecutor | None = None
        # Calls that ended in threads, with their results or errors. The event loop is woken for
        # all of them together: a wake-up for each would cost more than the rest of the call.
        self._ended: deque[tuple[Call, object, BaseException | None]] = deque()
        self._is_woken = False

    def start(self, handler: Handler, delivery: Delivery) -> Call:
        """Starts the call of a handler; returns the future of its end."""
        loop = asyncio.get_running_loop()
        try:
            if inspect.iscoroutinefunction(handler):
                return loop.create_task(handler(delivery))
            call: Call = loop.create_future()
            if self._threads is None:
                name = f"runfold-{self._name}"
                self._threads = ExitSafeExecutor(self._concurrency, thread_name_prefix=name)
            run = contextvars.copy_context().run
            self._threads.submit(self._work, loop, call, partial(run, handler, delivery))
        except Exception as error:
            # Of a function without parameters, or if the machine has no thread to give.
            call = loop.create_future()
            call.set_exception(error)
        return call

    def abandon(self, handler: Handler, call: Call) -> None:
        """Stops a call that took too long, as far as it can be stopped.

        A coroutine is cancelled. A function continues in its thread, and gives up its place to
        another thread: it ends when it returns.
        """
        if inspect.iscoroutinefunction(handler):
            call.cancel()
        else:
            self.close()

    def close(self) -> None:
        """Releases the threads, without waiting for calls that are still running."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False)

    def _work(self, loop: asyncio.AbstractEventLoop, call: Call, work: partial[object]) -> None:
        """Calls a handler in a thread."""
        try:
            self._ended.append((call, work(), None))
        except BaseException as error:
            self._ended.append((call, None, error))
        if not self._is_woken:
            self._is_woken = True
            # The call may have outlasted the loop.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._take_ended)

    def _take_ended(self) -> None:
        # First, so that a call which ends from here on wakes the loop again.
        self._is_woken = False
        while self._ended:
            call, result, error = self._ended.popleft()
            if call.done():
                continue
            if error is None and inspect.isawaitable(result):
                _await(result, call)
            else:
                _end(call, error)


def find_error(call: Call) -> BaseException | None:
    """Returns the exception that a call ended with, None if it succeeded."""
    if call.cancelled():
        # A handler that cancels itself only fails.
        return RuntimeError("the handler was cancelled")
    return call.exception()


def _await(result: Any, call: Call) -> None:
    """Ends a call as the awaitable does that the function returned."""
    task = asyncio.ensure_future(result)

    def end(_: object) -> None:
        if not call.done():
            _end(call, find_error(task))

    task.add_done_callback(end)
    call.add_done_callback(lambda _: task.cancel())


def _end(call: Call, error: BaseException | None) -> None:
    if error is None:
        call.set_result(None)
        return
    if isinstance(error, StopIteration):
        # The only one that a future refuses.
        error = RuntimeError(f"the handler raised {error!r}")
    call.set_exception(error)
