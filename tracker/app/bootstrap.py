"""Wires the parts of a tracker: the only place where they are put together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from tracker.delivery.subscriptions import Subscriptions
from tracker.event_store import EventStore, open_event_store
from tracker.event_store.recorder_store import RecorderEventStore
from tracker.heartbeats.pace_table import paces_in
from tracker.heartbeats.reporter import start_reporting
from tracker.leases.deliveries import open_delivery_leases
from tracker.leases.joining import join, worker_name
from tracker.polling.dispatcher import TICK_SECONDS
from tracker.polling.metrics import Counters
from tracker.polling.overdue import AUDIT_SECONDS, OverdueAudit
from tracker.polling.policy.cadence import Cadence
from tracker.polling.poller import Poller
from tracker.polling.requests.discovery import DISCOVERY_SECONDS
from tracker.polling.run_updates import RunUpdates, StepsWhen
from tracker.polling.watch_list import WatchList
from tracker.recording.group_commit import GroupCommit
from tracker.recording.repository import RunRepository
from tracker.runtime.clock import Clock
from tracker.runtime.jobs import Jobs
from tracker.runtime.scheduler import CLOCK_CHECK_SECONDS, Scheduler
from tracker.runtime.ticker import Ticker
from tracker.runtime.worker_threads import WorkerThreads
from tracker.session import Session
from tracker.sources.registry import SourceRegistry


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a tracker; documented at `Tracker`."""

    store: str | EventStore
    sources: SourceRegistry
    clock: Clock
    cadence: Cadence | None
    requests_per_second: float | None
    concurrency: int
    steps: StepsWhen
    resume: bool
    # An APScheduler scheduler of the application, or None for one of our own.
    scheduler: object | None


async def open_session(
    stack: AsyncExitStack,
    settings: Settings,
    subscriptions: Subscriptions,
    jobs: Jobs,
    on_open: Callable[[Session], None],
) -> None:
    """Opens the store, wires the parts of a tracker and starts them.

    `stack` stops and closes them in reverse order. `on_open` is called with the parts before the
    first handler or job is. Raises StoreUnavailable if the store cannot be opened, AlreadyPolled
    if an SQLite file has a tracker.
    """
    store, threads = settings.store, WorkerThreads()
    stack.callback(threads.close)
    if isinstance(store, str):
        store = await threads.run(open_event_store, store)
        stack.callback(store.close)
    counters = Counters(subscriptions.wake)
    repository = RunRepository(
        store, on_appended=counters.on_appended, on_observed=counters.on_observed
    )
    stack.callback(repository.close)
    commits = GroupCommit(repository, threads)
    clock, sources = settings.clock, settings.sources
    paces = await threads.run(paces_in, store) if settings.resume else {}
    watch_list = WatchList(clock, settings.cadence, settings.requests_per_second, paces=paces)
    counters.seconds_ahead = watch_list.seconds_ahead
    updates = RunUpdates(watch_list, commits, clock, settings.steps)
    poller = Poller(watch_list, updates, commits, clock, concurrency=settings.concurrency)
    overdue = OverdueAudit(watch_list)
    for source in sources.values():
        stack.push_async_callback(source.aclose)
    stack.push_async_callback(poller.close)
    worker, is_alone = worker_name(), True
    if settings.resume:
        is_alone = await join(
            stack,
            settings.store,
            store,
            repository,
            watch_list,
            updates,
            sources,
            worker,
            clock,
            threads,
        )
    scheduler, ticker = Scheduler(clock, settings.scheduler), Ticker()
    ticker.every(TICK_SECONDS, poller.tick, "polling")
    ticker.every(DISCOVERY_SECONDS, poller.discover, "discovery")
    ticker.every(AUDIT_SECONDS, overdue.tick, "the audit of overdue runs")
    ticker.every(CLOCK_CHECK_SECONDS, scheduler.follow_clock, "the check of the clock")
    stack.push_async_callback(ticker.stop)
    stack.callback(scheduler.stop)
    session = Session(
        sources=sources,
        clock=clock,
        repository=repository,
        commits=commits,
        threads=threads,
        watch_list=watch_list,
        updates=updates,
        step_reads=poller.step_reads,
        discovery=poller.discovery,
        backfill_pages=poller.backfill_pages,
        overdue=overdue,
        counters=counters,
        loop=asyncio.get_running_loop(),
    )
    on_open(session)
    if settings.resume:
        start_reporting(
            stack,
            store,
            worker,
            session.sources_status,
            watch_list.paces,
            clock,
            threads,
            is_alone,
        )
    # Stopped while the rest is open: handlers that are running may need it to finish.
    stack.push_async_callback(subscriptions.stop)
    await subscriptions.start(
        store, repository.readable_states, threads, clock, open_delivery_leases
    )
    stack.push_async_callback(jobs.stop)
    jobs.start(scheduler)

    def hurry() -> None:
        commits.hurry()
        # That of the application may be in use by others.
        if isinstance(store, RecorderEventStore) and isinstance(settings.store, str):
            store.hurry()

    stack.callback(hurry)
    scheduler.start()
    ticker.start()
