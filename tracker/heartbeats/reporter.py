"""Reports the status of a tracker's sources, independently of its polling."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from threading import Lock

from tracker.errors import StoreUnavailable
from tracker.event_store import EventStore
from tracker.event_store.open_runs import OpenRunsTable
from tracker.event_store.recorder_store import RecorderEventStore
from tracker.heartbeats.heartbeat import EVERY_SECONDS, to_columns
from tracker.heartbeats.pace_table import PaceTable
from tracker.heartbeats.table import HeartbeatTable
from tracker.polling.policy.pace import Pace
from tracker.polling.source_status import SourceStatus
from tracker.recording.pending_reader import KEPT_FOR
from tracker.runtime.clock import Clock
from tracker.runtime.ticker import Ticker
from tracker.runtime.worker_threads import WorkerThreads

logger = logging.getLogger("runfold.heartbeats")

# The interval at which the statuses are compared with the last report.
CHECK_SECONDS = 1.0

Statuses = Callable[[], Mapping[str, SourceStatus]]


class Reporter:
    """Writes the heartbeats of one worker, the paces of its sources and the open runs, when due.

    A database that fails is logged.

    `is_alone` is true if no other tracker polls for the database: rows of others are then left
    from trackers that are gone.
    """

    def __init__(
        self,
        table: HeartbeatTable,
        pace_table: PaceTable,
        open_runs: OpenRunsTable,
        worker: str,
        statuses: Statuses,
        paces: Callable[[], Mapping[str, Pace]],
        clock: Clock,
        threads: WorkerThreads,
        is_alone: bool,
    ) -> None:
        self._table = table
        self._pace_table = pace_table
        self._open_runs = open_runs
        self._worker = worker
        self._statuses = statuses
        self._paces = paces
        self._clock = clock
        self._threads = threads
        self._is_alone = is_alone
        self._lock = Lock()
        self._has_written = self._is_failing = self._is_closed = False
        # The last report: its time, and what of each source was urgent.
        self._written = -math.inf
        self._urgent: dict[str, object] = {}

    async def tick(self) -> None:
        """Writes all rows if one has an urgent change, or if the last report is long ago."""
        statuses = self._statuses()
        urgent = {source: _urgent_part(status) for source, status in statuses.items()}
        started = self._clock.monotonic()
        # A check earlier, so that a database that is gone is noticed within these seconds.
        if urgent == self._urgent and started - self._written < EVERY_SECONDS - CHECK_SECONDS:
            return
        now = self._clock.now()
        rows = {source: to_columns(status, now) for source, status in statuses.items()}
        try:
            await self._threads.run(self._write, rows, self._paces())
        except StoreUnavailable as error:
            # Once, and not each second while the database is away: failed polls show that too.
            if not self._is_failing:
                logger.warning("cannot write heartbeat: %s", error)
            self._is_failing, self._has_written = True, False
        else:
            self._is_failing, self._urgent, self._written = False, urgent, started

    async def close(self) -> None:
        """Writes the paces and deletes the heartbeats, which grow old if the database is away."""
        try:
            await self._threads.run(self._delete, self._paces())
        except StoreUnavailable as error:
            logger.warning("cannot delete heartbeat: %s", error)

    def _write(self, rows: Mapping[str, Mapping[str, object]], paces: Mapping[str, Pace]) -> None:
        with self._lock:
            if self._is_closed:
                return
            if not self._has_written:
                if self._is_alone:
                    self._table.remove_others(self._worker)
                self._has_written = True
            self._table.write(self._worker, rows)
            self._pace_table.write(paces)
            self._open_runs.advance(self._clock.now() - KEPT_FOR)

    def _delete(self, paces: Mapping[str, Pace]) -> None:
        # A database must not be closed under a thread that still uses it.
        with self._lock:
            self._is_closed = True
            if self._has_written:
                self._table.remove(self._worker)
            if paces:
                self._pace_table.write(paces)
            self._open_runs.advance(self._clock.now() - KEPT_FOR, always=True)


def start_reporting(
    stack: AsyncExitStack,
    store: EventStore,
    worker: str,
    statuses: Statuses,
    paces: Callable[[], Mapping[str, Pace]],
    clock: Clock,
    threads: WorkerThreads,
    is_alone: bool,
) -> None:
    """Reports heartbeats and paces until `stack` is closed, if the store has tables."""
    if not isinstance(store, RecorderEventStore) or not store.placeholder:
        return
    tables = HeartbeatTable(store), PaceTable(store), OpenRunsTable(store)
    reporter = Reporter(*tables, worker, statuses, paces, clock, threads, is_alone)
    stack.push_async_callback(reporter.close)
    ticker = Ticker()
    stack.push_async_callback(ticker.stop)
    ticker.every(CHECK_SECONDS, reporter.tick, "the heartbeat")
    ticker.start()


def _urgent_part(status: SourceStatus) -> object:
    """Returns the parts of a status whose change is reported at once."""
    return status.breaker, status.refusing, status.denied, frozenset(status.peculiarities)
