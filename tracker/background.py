"""A tracker in a thread of its own, with an event loop there, for code that has none."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar

from tracker.background_receiving import BackgroundReceiving
from tracker.background_runs import BackgroundResources
from tracker.core.events import Event
from tracker.core.state import RunState
from tracker.delivery.delivery import AnyHandler, DeliveryProgress, Since
from tracker.errors import RunfoldError, SettingsError
from tracker.event_store import RecordedEvent
from tracker.forking import check_process
from tracker.jobs import BackgroundScheduling
from tracker.lasting_threads import LastingThreads
from tracker.opened import Until
from tracker.polling.counters import SourceCounts
from tracker.polling.discovery import INTERVAL_SECONDS
from tracker.polling.standing import SourceStatus

if TYPE_CHECKING:
    from tracker.app import Tracker

Result = TypeVar("Result")

# How long a program that ends without stopping it may have to wait for that to be noticed.
_LOOK_SECONDS = 0.25


class BackgroundTracker(BackgroundResources, BackgroundReceiving, BackgroundScheduling):
    """A tracker for Flask, Django or a script: the same calls, which block; safe for threads.

    A context manager, or `start` and `stop`. A call raises what the tracker's own does. One that
    is under way when the tracker stops is let finish, but for `wait`, which is cut short with a
    SettingsError as a later call is. Ctrl-C gets through to a call that blocks. When the main
    thread of the program ends, it stops by itself. After a fork it is of no use in the child,
    and says so with a SettingsError.
    """

    _tracker: Tracker

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        # One that a future's callback may take within what it guards.
        self._lock = threading.RLock()
        self._calls: set[Future[Any]] = set()
        self._waits: set[Future[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ask_to_stop: Callable[[], object] = lambda: None
        self._is_stopping = False
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._process = os.getpid()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Returns once the tracker is open. Raises what entering it raised."""
        if self._thread is not None:
            check_process(self._process)
            raise SettingsError("the tracker runs in the background already")
        self._process, self._is_stopping, self._failure = os.getpid(), False, None
        opened: Future[None] = Future()
        # The interpreter waits for it, and it ends by itself when the program does.
        self._thread = threading.Thread(target=self._run, args=(opened,), name="runfold")
        self._ended.clear()
        try:
            self._begin()
            opened.result()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stops handlers, lets calls that are under way finish, and leaves the tracker.

        Nothing happens where it is not started, or was started by the parent of this process.
        """
        thread = self._thread
        if thread is None or os.getpid() != self._process:
            return
        with self._lock:
            self._is_stopping = True
            self._ask_to_stop()
        # One that is only just starting cannot be joined yet.
        self._ended.wait()
        thread.join()
        self._thread = None
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    @property
    def watching(self) -> list[RunState]:
        """The runs that are being watched, as they are known now."""
        return self._read(lambda: self._tracker.watching)

    @property
    def troubles(self) -> dict[str, RunfoldError]:
        """What became of the last look at each watched run where it failed, by the run's id."""
        return self._read(lambda: self._tracker.troubles)

    @property
    def overdue(self) -> list[RunState]:
        """The watched runs past their `expires_at` that are not known to have ended."""
        return self._read(lambda: self._tracker.overdue)

    def sources_status(self) -> dict[str, SourceStatus]:
        """How each source stands: what it is asked, what it refuses, and what waits for it."""
        return self._read(self._tracker.sources_status)

    def watch_thread(
        self, thread_id: str, *, source: str | None = None, every: float = INTERVAL_SECONDS
    ) -> None:
        """Finds the runs that begin on a thread; see `Tracker.watch_thread`."""
        self._read(lambda: self._tracker.watch_thread(thread_id, source=source, every=every))

    def unwatch_thread(self, thread_id: str, *, source: str | None = None) -> None:
        """Finds no more runs on a thread; those that are watched stay watched."""
        self._read(lambda: self._tracker.unwatch_thread(thread_id, source=source))

    def drain(self, timeout: float = 10.0) -> bool:
        """Whether the steps of all runs that have ended are recorded within `timeout` seconds."""
        return self._call(lambda: self._tracker.drain(timeout), may_last=True)

    def watch(self, thread_id: str | None, run_id: str, *, source: str | None = None) -> None:
        """Watches a run that somebody else created, until it ends."""
        self._call(lambda: self._tracker.watch(thread_id, run_id, source=source))

    def wait(
        self,
        run_id: str,
        *,
        timeout: float | None = None,
        until: Until = "ended",
        source: str | None = None,
    ) -> RunState:
        """The state of a run once it has ended, or (`actionable`) needs an action or has ended.

        Within `timeout` seconds. Raises as `Tracker.wait` does.
        """
        return self._call(
            lambda: self._tracker.wait(run_id, timeout=timeout, until=until, source=source),
            may_last=True,
        )

    def history(self, run_id: str, *, source: str | None = None) -> list[RecordedEvent]:
        """The events of a run, oldest first. Raises UnknownRun where there are none."""
        return self._call(lambda: asyncio.to_thread(self._tracker.history, run_id, source=source))

    def on(
        self, *kinds: type[Event], name: str = "handlers", since: Since = "now"
    ) -> Callable[[AnyHandler], AnyHandler]:
        """A decorator for a function of one `Delivery`, before the start. See `Tracker.on`.

        It may use this object, and block: it is called in a thread of its own.
        """
        return self._tracker.on(*kinds, name=name, since=since)

    def deliveries(self) -> list[DeliveryProgress]:
        """How far the handlers of each name are, and what holds them up."""
        return self._read(self._tracker.deliveries)

    def counts(self) -> dict[str, SourceCounts]:
        """What was counted since it was opened, by source; empty while it is not open."""
        return self._tracker.counts()

    def _begin(self) -> None:
        assert self._thread is not None
        try:
            self._thread.start()
        except RuntimeError:
            # The machine has no thread to give: there is nothing to be stopped.
            self._thread = None
            raise

    def _running(self) -> asyncio.AbstractEventLoop:
        check_process(self._process)
        if self._loop is None:
            raise SettingsError(
                "the tracker does not run: use it within `with tracker.in_background() as …`, or "
                "between start() and stop()"
            )
        return self._loop

    def _read(self, read: Callable[[], Result]) -> Result:
        async def reading() -> Result:
            return read()

        return self._call(reading)

    def _call(
        self, work: Callable[[], Coroutine[Any, Any, Result]], *, may_last: bool = False
    ) -> Result:
        """What comes of a coroutine on the tracker's own loop."""
        # In a child, the lock may have been held at the fork by a thread that is not there.
        check_process(self._process)
        if threading.current_thread() is self._thread:
            raise SettingsError(
                "a call that blocks, from the tracker's own event loop, would wait for itself: "
                "await the Tracker's own there, or make the handler a plain function"
            )
        with self._lock:
            loop = self._running()
            future = asyncio.run_coroutine_threadsafe(_begun(work), loop)
            under_way = self._waits if may_last else self._calls
            under_way.add(future)
            future.add_done_callback(under_way.discard)
        try:
            return future.result()
        except CancelledError:
            raise SettingsError("the tracker was stopped while this call waited") from None
        except KeyboardInterrupt:
            # Whoever waits no longer does; what was asked of the service is still recorded.
            if may_last:
                future.cancel()
            raise

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
        threads = LastingThreads(thread_name_prefix="runfold-worker")
        loop.set_default_executor(threads)
        with self._lock:
            self._ask_to_stop = lambda: loop.call_soon_threadsafe(stopping.set)
            if self._is_stopping:
                stopping.set()
        async with self._tracker as tracker:
            with self._lock:
                self._loop = loop
            opened.set_result(None)
            while not (stopping.is_set() or threads.is_last):
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), _LOOK_SECONDS)
            # A handler or a job may call while it finishes.
            await asyncio.gather(tracker.stop_delivering(), tracker.stop_jobs())
            with self._lock:
                self._loop = None
                calls, waits = list(self._calls), list(self._waits)
            for wait in waits:
                wait.cancel()
            under_way = [asyncio.wrap_future(call) for call in calls]
            await asyncio.gather(*under_way, return_exceptions=True)


async def _begun(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    return await work()
