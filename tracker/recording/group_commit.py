"""Group commit: observations that arrive while a batch is being written form the next batch."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from tracker.core.snapshot import RunSnapshot
from tracker.core.state import RunState
from tracker.errors import RunfoldError
from tracker.recording.observation import Observation, RecordResult
from tracker.recording.repository import RunRepository
from tracker.runtime.worker_threads import WorkerThreads


class GroupCommit:
    """Records observations in one of `threads`, many to a transaction, without a delay.

    An awaited `record` returns once its observation is durable, or raises its error.
    """

    def __init__(self, repository: RunRepository, threads: WorkerThreads) -> None:
        self._repository = repository
        self._threads = threads
        self._pending: list[tuple[Observation, asyncio.Future[RecordResult]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._work: set[asyncio.Task[None]] = set()

    async def record(self, observation: Observation) -> RecordResult:
        """Records an observation. Raises RunfoldError if it cannot be recorded."""
        future: asyncio.Future[RecordResult] = asyncio.get_running_loop().create_future()
        self._pending.append((observation, future))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        # Cancelling one caller does not cancel the batch of the others.
        return await asyncio.shield(future)

    async def observe(
        self, snapshot: RunSnapshot, known: int
    ) -> tuple[RecordResult, RecordResult | None]:
        """Records a snapshot. Raises RunfoldError if it cannot be recorded.

        `known` is the version of its run that was known when it was asked for. Returns the result
        for its run, and the one for the run that it continues, whose wait is over; None if it
        continues no run.
        """
        predecessor = Observation.of_predecessor(snapshot)
        if predecessor is None:
            return await self.record(Observation.of(snapshot, known)), None
        earlier, result = await asyncio.gather(
            self.record(predecessor), self.record(Observation.of(snapshot, known))
        )
        return result, earlier

    async def state(self, stream: str) -> RunState:
        """Returns the recorded state of a run; the initial one if nothing is recorded."""
        return await self._threads.run(self._repository.state, stream)

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Starts work that records in the background; `drain` waits for it."""
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    async def drain(self) -> None:
        """Returns once all observations are written."""
        while self._work or self._writer is not None:
            under_way = [*self._work, *([self._writer] if self._writer else [])]
            await asyncio.gather(*map(asyncio.shield, under_way), return_exceptions=True)

    async def _write(self) -> None:
        try:
            while self._pending:
                batch, self._pending = self._pending, []
                await self._write_batch(batch)
        finally:
            self._writer = None

    async def _write_batch(
        self, batch: list[tuple[Observation, asyncio.Future[RecordResult]]]
    ) -> None:
        results: list[RecordResult | RunfoldError] | list[Exception]
        try:
            observations = [observation for observation, _ in batch]
            results = await self._threads.run(self._repository.record, observations)
        except Exception as error:
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.cancelled():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
                # The caller may have been cancelled; without this, asyncio logs the error.
                future.exception()
            else:
                future.set_result(result)
