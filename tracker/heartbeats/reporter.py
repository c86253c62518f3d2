"""Writes how the sources of a tracker stand, beside its polling and never in its way."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from threading import Lock

from tracker.errors import StoreUnavailable
from tracker.event_store import EventStore
from tracker.heartbeats.heartbeat import EVERY_SECONDS, columns_of
from tracker.heartbeats.table import HeartbeatTable, table_in
from tracker.polling.source_status import SourceStatus
from tracker.runtime.clock import Clock
from tracker.runtime.jobs import Jobs
from tracker.runtime.scheduler import Scheduler

logger = logging.getLogger("runfold.heartbeats")

LOOK_SECONDS = 1.0

Standing = Callable[[], Mapping[str, SourceStatus]]


class Reporter:
    """Writes the heartbeats of one worker where they are due. Nothing that fails gets out of it.

    Where it is `alone`, rows of others are of trackers that are gone.
    """

    def __init__(
        self, table: HeartbeatTable, worker: str, standing: Standing, clock: Clock, alone: bool
    ) -> None:
        self._table = table
        self._worker = worker
        self._standing = standing
        self._clock = clock
        self._alone = alone
        self._using = Lock()
        self._is_made = self._is_failing = self._is_left = False
        self._written = -math.inf
        self._marks: dict[str, object] = {}

    async def look(self) -> None:
        """Writes what changed since the last time, or all that has not been written for long."""
        standing = self._standing()
        marks = {source: _mark(status) for source, status in standing.items()}
        began = self._clock.monotonic()
        if marks == self._marks and began - self._written < EVERY_SECONDS:
            return
        now = self._clock.now()
        rows = {source: columns_of(status, now) for source, status in standing.items()}
        try:
            await asyncio.to_thread(self._write, rows)
        except StoreUnavailable as error:
            # Once, and not each second while the database is away: polls tell of that too.
            if not self._is_failing:
                logger.warning("how the sources stand could not be written: %s", error)
            self._is_failing, self._is_made = True, False
        else:
            self._is_failing, self._marks, self._written = False, marks, began

    async def leave(self) -> None:
        """Takes the rows out, unless the database is away: they then grow old."""
        try:
            await asyncio.to_thread(self._take_out)
        except StoreUnavailable as error:
            logger.warning("how the sources stood could not be taken out: %s", error)

    def _write(self, rows: Mapping[str, Mapping[str, object]]) -> None:
        with self._using:
            if self._is_left:
                return
            if not self._is_made:
                self._table.make()
                if self._alone:
                    self._table.remove_others(self._worker)
                self._is_made = True
            self._table.write(self._worker, rows)

    def _take_out(self) -> None:
        # A database must not be closed under a thread that still uses it.
        with self._using:
            self._is_left = True
            if self._is_made:
                self._table.remove(self._worker)


def report(
    stack: AsyncExitStack,
    scheduler: Scheduler,
    store: EventStore,
    worker: str,
    standing: Standing,
    clock: Clock,
    alone: bool,
) -> None:
    """Has heartbeats written on a scheduler until `stack` is left, where the store has a place."""
    table = table_in(store)
    if table is None:
        return
    reporter, jobs = Reporter(table, worker, standing, clock, alone), Jobs()
    stack.push_async_callback(reporter.leave)
    stack.push_async_callback(jobs.stop)
    jobs.every(LOOK_SECONDS, reporter.look, "heartbeat")
    jobs.start(scheduler)


def _mark(status: SourceStatus) -> object:
    """What somebody wants to know at once when it changes."""
    return status.breaker, status.refusing, status.denied, frozenset(status.peculiarities)
