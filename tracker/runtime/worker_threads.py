"""Worker threads that are there until the end, also while the interpreter is ending."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


class ExitSafeExecutor(ThreadPoolExecutor):
    """A pool of threads, which takes work as long as there are other threads to be waited for.

    The pools of the library take none once the main thread of the program has ended, though the
    interpreter then waits for threads that have still to record something. From then on each call
    has a thread of its own here.
    """

    _is_closed = False

    @property
    def is_last(self) -> bool:
        """Whether the interpreter is ending: the main thread of the program has ended."""
        try:
            super().submit(_nothing)
        except RuntimeError as error:
            return self._is_refusal(error)
        return False

    def submit(
        self,
        fn: Callable[Arguments, Result],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Future[Result]:
        """Has a thread call a function, and gives what will come of it."""
        try:
            return super().submit(fn, *args, **kwargs)
        except RuntimeError as error:
            if not self._is_refusal(error):
                raise
        future: Future[Result] = Future()
        threading.Thread(target=_call, args=(future, fn, args, kwargs)).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more work, and ends the threads when they are done."""
        self._is_closed = True
        super().shutdown(wait, cancel_futures=cancel_futures)

    def _is_refusal(self, error: RuntimeError) -> bool:
        """Whether the library lets no pool take work any more, and not: no thread is to be had."""
        return not self._is_closed and str(error).startswith("cannot schedule new futures")


def _nothing() -> None:
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
