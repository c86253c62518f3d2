"""Group commit: looks that arrive while one batch is being written go together in the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from tracker.core.snapshot import RunSnapshot
from tracker.core.state import RunState
from tracker.errors import RunfoldError
from tracker.recording.observation import Observation, RecordResult
from tracker.recording.repository import RunRepository


class GroupCommit:
    """Records looks in a worker thread, many to a transaction, without waiting for more to come.

    An awaited `record` returns once its look is durable, or raises what came of it.
    """

    def __init__(self, histories: RunRepository) -> None:
        self._histories = histories
        self._pending: list[tuple[Observation, asyncio.Future[RecordResult]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._work: set[asyncio.Task[None]] = set()

    async def record(self, look: Observation) -> RecordResult:
        """What came of `look` once it is recorded. Raises RunfoldError where it could not be."""
        future: asyncio.Future[RecordResult] = asyncio.get_running_loop().create_future()
        self._pending.append((look, future))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        # A caller that is cancelled does not take the others' batch with it.
        return await asyncio.shield(future)

    async def observe(
        self, snapshot: RunSnapshot, notice: Callable[[str, RunState], None]
    ) -> RecordResult:
        """What came of a look at a run. Raises RunfoldError as `record` does.

        The run that it goes on from waits no more: `notice` is told of that one's stream and state.
        """
        before = Observation.of_predecessor(snapshot)
        if before is None:
            return await self.record(Observation.of(snapshot))
        earlier, observed = await asyncio.gather(
            self.record(before), self.record(Observation.of(snapshot))
        )
        notice(before.stream, earlier.state)
        return observed

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begins work that records and that nobody may wait for; `drain` does."""
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    async def drain(self) -> None:
        """Returns once everything handed in is written."""
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
            results = await asyncio.to_thread(self._histories.record, [look for look, _ in batch])
        except Exception as error:
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.cancelled():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
                # Whoever waited may be gone; the error was theirs to see.
                future.exception()
            else:
                future.set_result(result)
