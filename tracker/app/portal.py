"""A thread with an event loop that holds a tracker open, and blocking calls into it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tracker.errors import SettingsError
from tracker.runtime.fork_check import check_not_forked
from tracker.runtime.worker_threads import ExitSafeExecutor

if TYPE_CHECKING:
    from tracker.app.tracker import Tracker

Result = TypeVar("Result")

# A program that ends without stopping the tracker waits at most this long for that to be noticed.
_EXIT_CHECK_SECONDS = 0.25


class Call(Protocol):
    """Runs a coroutine on another thread's event loop and returns its result."""

    def __call__(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result: ...


class Portal:
    """Opens a tracker in a thread of its own, and runs coroutines there. Safe for threads.

    When the main thread of the program ends, the tracker is left by itself.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        # Reentrant: the callback of a future may take it within what it guards.
        self._lock = threading.RLock()
        self._calls: set[Future[Any]] = set()
        # Calls that may last, and are cut short when the tracker stops.
        self._waits: set[Future[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ask_to_stop: Callable[[], object] = lambda: None
        self._is_stopping = False
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._process = os.getpid()

    def start(self) -> None:
        """Returns once the tracker is open. Raises the error of entering it."""
        if self._thread is not None:
            check_not_forked(self._process)
            raise SettingsError("the tracker runs in the background already")
        self._process, self._is_stopping, self._failure = os.getpid(), False, None
        opened: Future[None] = Future()
        # Not a daemon: the interpreter waits for it, and it ends by itself when the program does.
        self._thread = threading.Thread(target=self._run, args=(opened,), name="runfold")
        self._ended.clear()
        try:
            self._start_thread()
            opened.result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops handlers, lets calls that have begun finish, and leaves the tracker.

        Does nothing if it is not started, or was started by the parent of this process.
        """
        thread = self._thread
        if thread is None or os.getpid() != self._process:
            return
        with self._lock:
            self._is_stopping = True
            self._ask_to_stop()
        # A thread that is only just starting cannot be joined yet.
        self._ended.wait()
        thread.join()
        self._thread = None
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def check_running(self) -> None:
        """Raises SettingsError unless the tracker is open."""
        self._running_loop()

    def read(self, read: Callable[[], Result]) -> Result:
        """Returns the result of a function that is called on the tracker's event loop."""

        async def call() -> Result:
            return read()

        return self.call(call)

    def call(
        self, work: Callable[[], Coroutine[Any, Any, Result]], *, may_last: bool = False
    ) -> Result:
        """Returns the result of a coroutine that runs on the tracker's event loop.

        With `may_last` it is cancelled when the tracker stops, or when Ctrl-C ends the wait.
        """
        # In a forked child, a thread that is not there may hold the lock.
        check_not_forked(self._process)
        if threading.current_thread() is self._thread:
            raise SettingsError(
                "a call that blocks, from the tracker's own event loop, would wait for itself: "
                "await the Tracker's own there, or make the handler a plain function"
            )
        with self._lock:
            loop = self._running_loop()
            future = asyncio.run_coroutine_threadsafe(_await(work), loop)
            pending = self._waits if may_last else self._calls
            pending.add(future)
            future.add_done_callback(pending.discard)
        try:
            return future.result()
        except CancelledError:
            raise SettingsError("the tracker was stopped while this call waited") from None
        except KeyboardInterrupt:
            # Ctrl-C stops the wait only; the request still completes and is recorded.
            if may_last:
                future.cancel()
            raise

    def _start_thread(self) -> None:
        assert self._thread is not None
        try:
            self._thread.start()
        except RuntimeError:
            # The machine has no thread to give: nothing has to be stopped.
            self._thread = None
            raise

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        check_not_forked(self._process)
        if self._loop is None:
            raise SettingsError(
                "the tracker does not run: use it within `with tracker.in_background() as …`, or "
                "between start() and stop()"
            )
        return self._loop

    def _run(self, opened: Future[None]) -> None:
        try:
            asyncio.run(self._serve(opened))
        except BaseException as error:
            if opened.done():
                self._failure = error
            else:
                opened.set_exception(error)
        finally:
            with self._lock:
                self._loop, self._ask_to_stop = None, lambda: None
            self._ended.set()

    async def _serve(self, opened: Future[None]) -> None:
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        threads = ExitSafeExecutor(thread_name_prefix="runfold-worker")
        loop.set_default_executor(threads)
        with self._lock:
            self._ask_to_stop = lambda: loop.call_soon_threadsafe(stopping.set)
            if self._is_stopping:
                stopping.set()
        async with self._tracker as tracker:
            with self._lock:
                self._loop = loop
            opened.set_result(None)
            while not (stopping.is_set() or threads.is_interpreter_ending):
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), _EXIT_CHECK_SECONDS)
            # Before calls are refused: a handler or a job may make some while it finishes.
            await asyncio.gather(tracker.stop_delivering(), tracker.stop_jobs())
            with self._lock:
                self._loop = None
                calls, waits = list(self._calls), list(self._waits)
            for wait in waits:
                wait.cancel()
            pending = [asyncio.wrap_future(call) for call in calls]
            await asyncio.gather(*pending, return_exceptions=True)


async def _await(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    return await work()
