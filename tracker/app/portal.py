"""A thread with an event loop that holds a tracker open, and blocking calls into it."""

from __future__ import annotations

import _thread
import asyncio
import contextvars
import os
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from tracker.errors import SettingsError
from tracker.runtime.fork_check import check_not_forked
from tracker.runtime.waiting import wait_until_set
from tracker.runtime.worker_threads import ExitSafeExecutor

if TYPE_CHECKING:
    from tracker.app.tracker import Tracker

Result = TypeVar("Result")

# A program that ends without stopping the tracker waits at most this long for that to be noticed.
_EXIT_CHECK_SECONDS = 0.25
# The time that a new thread gets to begin if Ctrl-C interrupts its start.
_THREAD_START_SECONDS = 5.0
# The portal on whose behalf code runs: on its event loop, or in the thread of a handler or a job.
_serving: contextvars.ContextVar[Portal | None] = contextvars.ContextVar("serving", default=None)


class Caller(Protocol):
    """Runs a coroutine on another thread's event loop and returns its result."""

    def __call__(self, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result: ...


class _PendingCall(Generic[Result]):
    """A coroutine that runs on the event loop while a thread waits for its result.

    Ctrl-C may interrupt that thread between any two bytecodes, also inside the methods of a
    `Future` or an `Event`, which are Python code: it leaves their lock acquired, and the event loop
    blocks on it for good, or it leaves with a RuntimeError. A SimpleQueue has no such moment.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, Result]], may_last: bool) -> None:
        self.may_last = may_last
        self.task: asyncio.Task[Result] | None = None
        self._work = work
        self._finished: SimpleQueue[asyncio.Task[Result]] = SimpleQueue()

    def start(self) -> asyncio.Task[Result]:
        """Starts the coroutine. To be called on the event loop."""
        self.task = asyncio.create_task(self._run())
        self.task.add_done_callback(self._finish)
        return self.task

    def cancel(self) -> None:
        """Cancels the coroutine if it was started. To be called on the event loop."""
        if self.task is not None:
            self.task.cancel()

    def wait(self) -> Result:
        """Returns the result of the coroutine, or raises its exception."""
        return self._finished.get().result()

    async def _run(self) -> Result:
        # The call itself may raise, before there is a coroutine: that is its outcome too.
        return await self._work()

    def _finish(self, task: asyncio.Task[Result]) -> None:
        if not task.cancelled():
            # Read here: after Ctrl-C nobody else does, and asyncio would log the exception.
            task.exception()
        self._finished.put(task)


class Portal:
    """Opens a tracker in a thread of its own, and runs coroutines there. Safe for threads.

    When the main thread of the program ends, the tracker is left by itself.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        # Reentrant: a signal handler may stop the tracker while the main thread holds the lock.
        self._lock = threading.RLock()
        # Used on the event loop only.
        self._calls: set[_PendingCall[Any]] = set()
        # Set while calls are accepted.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ask_to_stop: Callable[[], object] = lambda: None
        self._is_stopping = False
        self._has_opened = False
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        # Held from the start of the thread until it runs.
        self._starting = threading.Lock()
        self._process = os.getpid()

    def start(self) -> None:
        """Returns once the tracker is open. Raises the error of entering it."""
        if self._thread is not None:
            check_not_forked(self._process)
            raise SettingsError("the tracker runs in the background already")
        self._process, self._is_stopping = os.getpid(), False
        self._has_opened, self._failure = False, None
        opened: SimpleQueue[BaseException | None] = SimpleQueue()
        self._starting = threading.Lock()
        self._starting.acquire()
        # Not a daemon: the interpreter waits for it, and it ends by itself when the program does.
        self._thread = threading.Thread(target=self._run, args=(opened,), name="runfold")
        try:
            # `Thread.start` waits for an Event, which Ctrl-C could leave locked: see _PendingCall.
            # So it is called in a thread of its own, where no KeyboardInterrupt is raised.
            _thread.start_new_thread(self._start_thread, (self._thread, opened))
            error = opened.get()
            if error is not None:
                raise error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops handlers, lets calls that have begun finish, and leaves the tracker.

        Does nothing if it is not started, or was started by the parent of this process. From a
        handler or a job it only asks for that, since it would wait for its caller.
        """
        thread = self._thread
        if thread is None or os.getpid() != self._process:
            return
        with self._lock:
            self._is_stopping = True
            # The loop may have closed by itself, at the end of the program.
            with suppress(RuntimeError):
                self._ask_to_stop()
        if _serving.get() is self:
            return
        # A thread that has not begun cannot be joined, and after Ctrl-C it may never begin.
        if self._starting.acquire(timeout=_THREAD_START_SECONDS):
            self._starting.release()
            thread.join()
        self._thread = None
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def check_running(self) -> None:
        """Raises SettingsError unless the tracker is open."""
        self._require_loop()

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
        call = _PendingCall(work, may_last)
        try:
            with self._lock:
                self._require_loop().call_soon_threadsafe(self._start_call, call)
            return call.wait()
        except asyncio.CancelledError:
            raise SettingsError("the tracker was stopped while this call waited") from None
        except KeyboardInterrupt:
            # Ctrl-C stops the wait only; the request still completes and is recorded.
            if may_last:
                self._cancel_call(call)
            raise

    def _start_thread(
        self, thread: threading.Thread, opened: SimpleQueue[BaseException | None]
    ) -> None:
        try:
            thread.start()
        except BaseException as error:
            # The machine has no thread to give: nothing has to be stopped.
            self._thread = None
            opened.put(error)

    def _require_loop(self) -> asyncio.AbstractEventLoop:
        check_not_forked(self._process)
        if self._loop is None:
            raise SettingsError(
                "the tracker does not run: use it within `with tracker.in_background() as …`, or "
                "between start() and stop()"
            )
        return self._loop

    def _start_call(self, call: _PendingCall[Any]) -> None:
        self._calls.add(call)
        call.start().add_done_callback(lambda _: self._calls.discard(call))

    def _cancel_call(self, call: _PendingCall[Any]) -> None:
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(call.cancel)

    def _run(self, opened: SimpleQueue[BaseException | None]) -> None:
        self._starting.release()
        _serving.set(self)
        try:
            asyncio.run(self._serve(opened))
        except BaseException as error:
            if self._has_opened:
                self._failure = error
            else:
                opened.put(error)
        finally:
            with self._lock:
                self._ask_to_stop = lambda: None

    async def _serve(self, opened: SimpleQueue[BaseException | None]) -> None:
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
            self._has_opened = True
            opened.put(None)
            try:
                while not (stopping.is_set() or threads.is_interpreter_ending):
                    await wait_until_set(stopping, _EXIT_CHECK_SECONDS)
                # Before calls are refused: a handler or a job may make some while it finishes.
                await asyncio.gather(tracker.stop_delivering(), tracker.stop_jobs())
            finally:
                await self._finish_calls()

    async def _finish_calls(self) -> None:
        """Refuses further calls, cancels those that may last, and waits for the others."""
        with self._lock:
            self._loop = None
        # Calls that were accepted, but have not started, start now.
        await asyncio.sleep(0)
        for call in list(self._calls):
            if call.may_last:
                call.cancel()
        tasks = [call.task for call in self._calls if call.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
