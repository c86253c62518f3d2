"""Calls of handlers: coroutine functions on the event loop, other functions in a thread."""

from __future__ import annotations

import asyncio
import contextvars
import inspect

from tracker.delivery.handlers import Delivery, Handler
from tracker.runtime.worker_threads import ExitSafeExecutor


class HandlerCaller:
    """Calls the handlers of one name, one at a time; functions that may block get a thread."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: ExitSafeExecutor | None = None

    async def call(self, handler: Handler, delivery: Delivery) -> Exception | None:
        """Calls a handler once. Returns the exception that it raised, if any."""
        # In a task of its own: a handler that cancels itself only fails.
        call = asyncio.create_task(self._call(handler, delivery))
        try:
            await asyncio.wait({call})
        except asyncio.CancelledError:
            call.cancel()
            raise
        if call.cancelled():
            return RuntimeError("the handler was cancelled")
        error = call.exception()
        if error is not None and not isinstance(error, Exception):
            raise error
        return error

    def close(self) -> None:
        """Releases the thread, without waiting for a call that is still running."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    async def _call(self, handler: Handler, delivery: Delivery) -> None:
        if inspect.iscoroutinefunction(handler):
            await handler(delivery)
            return
        if self._thread is None:
            name = f"runfold-{self._name}"
            self._thread = ExitSafeExecutor(max_workers=1, thread_name_prefix=name)
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self._thread, context.run, handler, delivery)
        if inspect.isawaitable(result):
            await result
