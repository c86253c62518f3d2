"""Worker threads that no other code of the process can use up."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

# Most are idle: one records, one follows the store, one renews, and handlers take one a name.
_MAX_THREADS = 32

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


class ExitSafeExecutor(ThreadPoolExecutor):
    """A thread pool that accepts work until the interpreter has exited.

    The standard pool refuses work once the main thread has ended, although the interpreter then
    waits for other threads, which may still have something to record. From then on, this one runs
    each call in a thread of its own.
    """

    _is_closed = False

    @property
    def is_interpreter_ending(self) -> bool:
        """True if the main thread of the program has ended."""
        try:
            super().submit(_do_nothing)
        except RuntimeError as error:
            return self._is_due_to_exit(error)
        return False

    def submit(
        self,
        fn: Callable[Arguments, Result],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Future[Result]:
        """Calls a function in a thread; returns the future of its result."""
        try:
            return super().submit(fn, *args, **kwargs)
        except RuntimeError as error:
            if not self._is_due_to_exit(error):
                raise
        future: Future[Result] = Future()
        threading.Thread(target=_call, args=(future, fn, args, kwargs)).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accepts no more work, and ends the threads once they are done."""
        self._is_closed = True
        super().shutdown(wait, cancel_futures=cancel_futures)

    def _is_due_to_exit(self, error: RuntimeError) -> bool:
        """True if the interpreter is ending, and not if the machine has no thread to give."""
        return not self._is_closed and str(error).startswith("cannot schedule new futures")


class WorkerThreads:
    """Threads for calls that block, apart from the default executor of the event loop.

    The application may fill that one, and then nothing would be recorded and each lease be lost.
    """

    def __init__(self) -> None:
        self._executor = ExitSafeExecutor(_MAX_THREADS, thread_name_prefix="runfold-worker")

    async def run(
        self,
        work: Callable[Arguments, Result],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Result:
        """Returns the result of a function that is called in a thread, in the caller's context."""
        call = partial(contextvars.copy_context().run, work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    def close(self) -> None:
        """Accepts no more work. Threads that are working finish it."""
        self._executor.shutdown(wait=False)


def _do_nothing() -> None:
    """Does nothing."""


def _call(
    future: Future[Any], work: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work(*args, **kwargs)
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
