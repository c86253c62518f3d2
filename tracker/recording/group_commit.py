"""Group commit: observations that arrive while a batch is being written form the next batch.

While the database is away, what waits for it is kept, and recorded when it is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, NamedTuple

from tracker.core.snapshot import RunSnapshot
from tracker.core.state import RunState
from tracker.errors import StoreUnavailable
from tracker.recording.batch import Batch
from tracker.recording.observation import Observation, RecordResult
from tracker.recording.repository import RunRepository
from tracker.runtime.waiting import wait_until_set
from tracker.runtime.worker_threads import WorkerThreads

logger = logging.getLogger("runfold")

# The pauses between two tries while the database is away.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
# Observations that are kept for a database that is away while nobody waits for them.
_MAX_KEPT = 10_000


class _Entry(NamedTuple):
    """An observation, and the future of its result."""

    observation: Observation
    future: asyncio.Future[RecordResult]
    # True if its caller waits for a database that is away.
    patient: bool


class GroupCommit:
    """Records observations in one of `threads`, many to a transaction, without a delay.

    An awaited `record` returns once its observation is durable, or raises its error. While the
    database is away, a `patient` call waits for it; another raises StoreUnavailable at once, and
    its observation is recorded all the same when the database is back.
    """

    def __init__(self, repository: RunRepository, threads: WorkerThreads) -> None:
        self._repository = repository
        self._threads = threads
        self._pending: list[_Entry] = []
        self._writer: asyncio.Task[None] | None = None
        self._work: set[asyncio.Task[None]] = set()
        # The error of a database that is away, None if it is there.
        self._outage: StoreUnavailable | None = None
        self._leaving = asyncio.Event()

    async def record(self, observation: Observation, *, patient: bool = False) -> RecordResult:
        """Records an observation. Raises RunfoldError if it cannot be recorded."""
        future: asyncio.Future[RecordResult] = asyncio.get_running_loop().create_future()
        if self._outage is not None and self._writer is not None and not patient:
            self._keep(observation, future)
            raise self._outage
        self._pending.append(_Entry(observation, future, patient))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        # Cancelling one caller does not cancel the batch of the others.
        return await asyncio.shield(future)

    async def observe(
        self, snapshot: RunSnapshot, known: int, *, patient: bool = False
    ) -> tuple[RecordResult, RecordResult | None]:
        """Records a snapshot. Raises RunfoldError if it cannot be recorded.

        `known` is the version of its run that was known when it was asked for. Returns the result
        for its run, and the one for the run that it continues, whose wait is over; None if it
        continues no run.
        """
        predecessor = Observation.of_predecessor(snapshot)
        if predecessor is None:
            return await self.record(Observation.of(snapshot, known), patient=patient), None
        earlier, result = await asyncio.gather(
            self.record(predecessor, patient=patient),
            self.record(Observation.of(snapshot, known), patient=patient),
        )
        return result, earlier

    async def state(self, stream: str, *, patient: bool = False) -> RunState:
        """Returns the recorded state of a run; the initial one if nothing is recorded.

        A `patient` call waits for a database that is away.
        """
        pause = _FIRST_PAUSE
        while True:
            try:
                return await self._threads.run(self._repository.state, stream)
            except StoreUnavailable:
                if not patient or self._leaving.is_set():
                    raise
            await wait_until_set(self._leaving, pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Starts work that records in the background; `drain` waits for it."""
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    def hurry(self) -> None:
        """Waits no longer for a database that is away: the tracker is being left."""
        self._leaving.set()

    async def drain(self) -> None:
        """Returns once all observations are written, or cannot be since the database is away."""
        self.hurry()
        while self._work or self._writer is not None:
            under_way = [*self._work, *([self._writer] if self._writer else [])]
            await asyncio.gather(*map(asyncio.shield, under_way), return_exceptions=True)

    def _keep(self, observation: Observation, future: asyncio.Future[RecordResult]) -> None:
        future.cancel()
        if len(self._pending) < _MAX_KEPT:
            self._pending.append(_Entry(observation, future, patient=False))

    async def _write(self) -> None:
        try:
            while self._pending:
                entries, self._pending = self._pending, []
                await self._write_batch(entries)
        finally:
            self._writer = None

    async def _write_batch(self, entries: list[_Entry]) -> None:
        batch = Batch([entry.observation for entry in entries])
        try:
            await self._record(batch, entries)
        except Exception as error:
            batch.fail(error)
        for entry, result in zip(entries, batch.results, strict=True):
            _resolve(entry.future, result)

    async def _record(self, batch: Batch, entries: list[_Entry]) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._threads.run(self._repository.record_batch, batch)
            except StoreUnavailable as error:
                if self._outage is None:
                    logger.warning("cannot record, trying again until it works: %s", error)
                self._outage = error
                if self._leaving.is_set():
                    raise
                for entry in entries:
                    if not entry.patient:
                        _resolve(entry.future, error)
            else:
                if self._outage is not None:
                    logger.warning("recording again")
                self._outage = None
                return
            await wait_until_set(self._leaving, pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def _resolve(future: asyncio.Future[RecordResult], result: RecordResult | Exception | None) -> None:
    if future.done() or result is None:
        return
    if isinstance(result, Exception):
        future.set_exception(result)
        # The caller may have been cancelled; without this, asyncio logs the error.
        future.exception()
    else:
        future.set_result(result)
