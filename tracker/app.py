"""The write side, wired: one event store, its sources, and the poller between them."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self, get_args

from tracker.clock import Clock, SystemClock
from tracker.core.state import RunState
from tracker.delivery.deliveries import Deliveries
from tracker.delivery.handling import Handling
from tracker.errors import RunfoldError, SettingsError
from tracker.event_store import EventStore, RecordedEvent, open_event_store
from tracker.forking import check_process
from tracker.heartbeats.reporter import report
from tracker.histories import Histories
from tracker.jobs import Jobs, Scheduling
from tracker.leases.joining import join, worker_name
from tracker.opened import Opened, Until
from tracker.polling.batching import Batching
from tracker.polling.cadence import Cadence
from tracker.polling.counters import Counters, SourceCounts
from tracker.polling.discovery import DISCOVERY_SECONDS, INTERVAL_SECONDS
from tracker.polling.overdue import AUDIT_SECONDS
from tracker.polling.poller import Poller
from tracker.polling.scheduler import TICK_SECONDS, Scheduler
from tracker.polling.standing import SourceStatus
from tracker.polling.step_reading import When as StepsWhen
from tracker.receiving import Receiving
from tracker.resources import Resources
from tracker.sources.directory import Directory
from tracker.sources.source import Source

if TYPE_CHECKING:
    from tracker.background import BackgroundTracker


class Tracker(Resources, Receiving, Handling, Scheduling):
    """Watches runs and records what happens to them; use it with `async with`.

    `store` is a database URL (see `open_event_store`) or an event store, which is then the
    caller's to close. Each source needs a name of its own: the runs recorded under it are its
    runs. Entering opens the store, watches again every run that has not ended (unless `resume`
    is false), and starts to poll; leaving stops polling and loses nothing. Nothing happens
    before it is entered, and that is for after a fork: a tracker that is open does not outlive
    one. `requests_per_second` caps what each source is asked; how much of it the service takes
    is found out.

    Several may share a PostgreSQL database: they divide the threads among them, take over from
    one that dies within ten seconds, and poll every open run that any of them recorded; each
    may create, watch and wait for any run. An SQLite file has one. With `resume` false a tracker
    takes no part in that, and may watch its own runs beside it. (So does one that was given an
    event store, of which it cannot know who else has it.)

    The steps of a watched or observed run are read once it has `"ended"`, or `"live"`, also each
    time that its status changes, or `"never"`; polls go first, but for a part of the rate. Entering
    (with `resume`) has those read too that a tracker left unread of runs that ended within a day.

    `scheduler` is an APScheduler AsyncIOScheduler of the application, on the same event loop:
    the tracker's jobs are added to it and taken out at the end. It is the application's to start.

    Raises SettingsError for two sources of one name or a cap of nothing, StoreUnavailable where
    the store cannot be opened, and AlreadyPolled where an SQLite file has a tracker.
    """

    def __init__(
        self,
        store: str | EventStore,
        *sources: Source,
        clock: Clock | None = None,
        cadence: Cadence | None = None,
        requests_per_second: float | None = None,
        concurrency: int = 32,
        steps: StepsWhen = "ended",
        resume: bool = True,
        scheduler: object | None = None,
    ) -> None:
        self._given = store
        self._sources = Directory(sources)
        self._clock = clock or SystemClock()
        self._cadence = cadence
        if requests_per_second is not None and not requests_per_second > 0:
            raise SettingsError("requests_per_second has to be above 0, or None for no cap")
        self._ceiling = requests_per_second
        self._concurrency = concurrency
        if steps not in get_args(StepsWhen):
            raise SettingsError('steps has to be "ended", "live" or "never"')
        self._steps: StepsWhen = steps
        self._resumes = resume
        self._scheduler = scheduler
        self._deliveries = Deliveries()
        self._jobs = Jobs()
        self._stack = AsyncExitStack()
        self._opened: Opened | None = None
        self._process = os.getpid()

    async def __aenter__(self) -> Self:
        self._check_process()
        if self._opened is not None:
            raise SettingsError("the tracker is open already: enter it once")
        async with AsyncExitStack() as stack:
            store = self._given
            if isinstance(store, str):
                store = await asyncio.to_thread(open_event_store, store)
                stack.callback(store.close)
            counters = Counters(self._deliveries.wake)
            histories = Histories(store, appended=counters.appended, looked=counters.looked)
            stack.callback(histories.close)
            batching = Batching(histories)
            poller = Poller(
                batching,
                self._clock,
                cadence=self._cadence,
                ceiling=self._ceiling,
                concurrency=self._concurrency,
                steps=self._steps,
            )
            for source in self._sources.values():
                stack.push_async_callback(source.aclose)
            stack.push_async_callback(poller.close)
            worker, alone, sources = worker_name(), True, self._sources
            if self._resumes:
                args = (self._given, store, histories, poller, sources, worker, self._clock)
                alone = await join(stack, *args)
            scheduler = Scheduler(self._scheduler)
            scheduler.every(TICK_SECONDS, poller.tick, "poll")
            scheduler.every(DISCOVERY_SECONDS, poller.discover, "discovery")
            scheduler.every(AUDIT_SECONDS, poller.overdue.tick, "overdue audit")
            stack.callback(scheduler.stop)
            loop = asyncio.get_running_loop()
            self._opened = Opened(
                self._sources, self._clock, histories, batching, poller, counters, loop
            )
            self._process = os.getpid()
            stack.callback(setattr, self, "_opened", None)
            if self._resumes:
                report(stack, scheduler, store, worker, self.sources_status, self._clock, alone)
            # While the rest is open: handlers that are under way may need it to finish.
            stack.push_async_callback(self._deliveries.stop)
            await self._deliveries.start(store, histories.state)
            stack.push_async_callback(self._jobs.stop)
            self._jobs.start(scheduler)
            scheduler.start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._check_process()
        await self._stack.aclose()

    def in_background(self) -> BackgroundTracker:
        """This tracker for code without an event loop: in a thread of its own, once started."""
        from tracker.background import BackgroundTracker

        return BackgroundTracker(self)

    @property
    def watching(self) -> list[RunState]:
        """The runs that are being watched, as they are known now."""
        return [watched.state for watched in self._entered().poller.watched]

    @property
    def troubles(self) -> dict[str, RunfoldError]:
        """What became of the last look at each watched run where it failed, by the run's id."""
        watched = self._entered().poller.watched
        return {entry.run_id: entry.trouble for entry in watched if entry.trouble is not None}

    @property
    def overdue(self) -> list[RunState]:
        """The watched runs past their `expires_at` that are not known to have ended."""
        return self._entered().poller.overdue.overdue

    def sources_status(self) -> dict[str, SourceStatus]:
        """How each source stands: what it is asked, what it refuses, and what waits for it."""
        return self._entered().standing()

    def counts(self) -> dict[str, SourceCounts]:
        """What was counted since it was opened, by source; empty while it is not open."""
        return {} if self._opened is None else self._entered().counts()

    async def watch(self, thread_id: str | None, run_id: str, *, source: str | None = None) -> None:
        """Watches a run that somebody else created, until it ends.

        `thread_id` is None for a source without threads, such as `Responses`.
        """
        await self._entered().watch(thread_id or "", run_id, source)

    def watch_thread(
        self, thread_id: str, *, source: str | None = None, every: float = INTERVAL_SECONDS
    ) -> None:
        """Finds the runs that begin on a thread, `every` so many seconds where the rate lets it.

        Those that have not ended are watched, and those that have are recorded: of the 100
        newest. Threads are not recorded: name them again after a restart; the runs that were
        found on them are watched again anyway. Raises SettingsError for a source without pages.
        """
        opened = self._entered()
        opened.poller.discovery.watch(self._sources.named(source), thread_id, every)

    def unwatch_thread(self, thread_id: str, *, source: str | None = None) -> None:
        """Finds no more runs on a thread; those that are watched stay watched."""
        opened = self._entered()
        opened.poller.discovery.unwatch(self._sources.named(source), thread_id)

    async def wait(
        self,
        run_id: str,
        *,
        timeout: float | None = None,
        until: Until = "ended",
        source: str | None = None,
    ) -> RunState:
        """The state of a run once it has ended, or (`actionable`) needs an action or has ended.

        `timeout` is a deadline over everything, in seconds. Raises WaitTimeout when it passes,
        UnknownRun for a run that is neither watched nor recorded, and the SourceError that
        keeps the run from being asked about.
        """
        return await self._entered().wait(run_id, timeout, until, source)

    async def drain(self, timeout: float = 10.0) -> bool:
        """Returns once the steps of all runs that have ended are recorded, or given up.

        False where they were not within `timeout` seconds: leaving the tracker then is no loss,
        as the next one reads them.
        """
        return await self._entered().poller.steps.drain(timeout)

    def history(self, run_id: str, *, source: str | None = None) -> list[RecordedEvent]:
        """The events of a run, oldest first. Raises UnknownRun where there are none."""
        return self._entered().history(run_id, source)

    def _entered(self) -> Opened:
        if self._opened is None:
            raise SettingsError("the tracker is not open: use it within `async with Tracker(…)`")
        self._check_process()
        return self._opened

    def _check_process(self) -> None:
        if self._opened is not None or not isinstance(self._given, str):
            check_process(self._process)
