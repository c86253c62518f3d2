"""Calls of handlers: coroutine functions on the event loop, other functions in threads."""

from __future__ import annotations

import asyncio
import contextvars
import inspect

from tracker.delivery.handlers import Delivery, Handler
from tracker.runtime.worker_threads import ExitSafeExecutor


class HandlerCaller:
    """Calls the handlers of one name; functions that may block get up to `concurrency` threads."""

    def __init__(self, name: str, concurrency: int) -> None:
        self._name, self._concurrency = name, concurrency
        self._threads: ExitSafeExecutor | None = None

    def start(self, handler: Handler, delivery: Delivery) -> asyncio.Task[object]:
        """Starts the call of a handler, in a task of its own."""
        if inspect.iscoroutinefunction(handler):
            return asyncio.create_task(handler(delivery))
        return asyncio.create_task(self._call_in_thread(handler, delivery))

    def abandon(self, handler: Handler, call: asyncio.Task[object]) -> None:
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

    async def _call_in_thread(self, handler: Handler, delivery: Delivery) -> None:
        if self._threads is None:
            name = f"runfold-{self._name}"
            self._threads = ExitSafeExecutor(self._concurrency, thread_name_prefix=name)
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self._threads, context.run, handler, delivery)
        if inspect.isawaitable(result):
            await result


def find_error(call: asyncio.Task[object]) -> BaseException | None:
    """Returns the exception that a call ended with, None if it succeeded."""
    if call.cancelled():
        # A handler that cancels itself only fails.
        return RuntimeError("the handler was cancelled")
    return call.exception()
