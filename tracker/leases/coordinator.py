"""One tracker among several: it polls the shards it holds, and hears of the rest from the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

from tracker.core.state import RunState, initial_state
from tracker.errors import NotFound, StoreError, UnreadableEvent
from tracker.event_store.store import EventStore, RecordedEvent
from tracker.leases.postgres import LEASE_SECONDS, PostgresLeases
from tracker.leases.shards import Shard, shard_of
from tracker.polling.poller import Poller
from tracker.polling.recovery import take_up_ended
from tracker.polling.requests.late_usage import LATE_WITHIN
from tracker.polling.requests.step_reads import STEPS_WITHIN
from tracker.recording.pending_runs import PendingRuns
from tracker.recording.repository import RunRepository
from tracker.runtime.clock import Clock
from tracker.sources.source import SettlingSource, Source, StepSource

logger = logging.getLogger("runfold.leases")

# How long a tracker that is left may have to wait for its own thread.
_WAIT_SECONDS = 0.25
_PAUSE_SECONDS = 1.0
_PAGE = 500
# Short: nobody looked at these for as long as a lease lasts, and the limiter holds them back.
_ADOPT_SECONDS = 2.0


class ShardCoordinator:
    """Renews the leases of a tracker, and follows all events of the store.

    By the events it knows each open run, and each that ended within a day without steps: those of
    a shard that it comes to hold are polled at once, and their steps are read. Who waits here for
    a run that another tracker polls is told. A run that is recorded nowhere yet is polled by
    whoever was asked to watch it.
    """

    def __init__(
        self,
        store: EventStore,
        histories: RunRepository,
        poller: Poller,
        sources: Mapping[str, Source],
        leases: PostgresLeases,
        clock: Clock,
    ) -> None:
        self._store = store
        self._histories = histories
        self._poller = poller
        self._sources = sources
        self._leases = leases
        self._held: frozenset[Shard] = frozenset()
        self._clock = clock
        self._unfinished = PendingRuns(self._since)
        self._position = 0
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Claims a first share, reads the store, and goes on with both until `close`."""
        await asyncio.to_thread(self._read_to_the_end)
        self._poller.divide(self.owns)
        began = asyncio.get_running_loop().time()
        renewed = await asyncio.to_thread(self._leases.renew)
        self._hold(renewed.held)
        self._tasks = [
            asyncio.create_task(self._keep(began, renewed.again_in)),
            asyncio.create_task(self._follow()),
        ]

    async def close(self) -> None:
        """Gives the shards back, for others to claim at once."""
        self._stopping.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await asyncio.to_thread(self._leases.release)
        except StoreError as error:
            logger.warning("%s", error)

    def owns(self, source: str, thread_id: str) -> bool:
        """Whether the runs of a thread are this tracker's to poll now."""
        return shard_of(source, thread_id) in self._held

    @staticmethod
    def _shard(state: RunState) -> Shard:
        # A run without a thread is a thread of its own.
        return shard_of(state.source, state.thread_id or state.run_id)

    def _since(self, name: str) -> datetime | None:
        if name not in self._sources:
            return None
        source, now = self._sources[name], self._clock.now()
        if isinstance(source, StepSource):
            return now - STEPS_WITHIN
        return now - LATE_WITHIN if isinstance(source, SettlingSource) else None

    def _read_to_the_end(self) -> None:
        while page := self._store.read_all(self._position, 10 * _PAGE):
            self._position = page[-1].position
            for entry in page:
                self._unfinished.take(entry)

    async def _keep(self, last: float, pause: float) -> None:
        clock = asyncio.get_running_loop().time
        while not await self._stopped_within(pause):
            began = clock()
            renewing = asyncio.create_task(asyncio.to_thread(self._leases.renew))
            if not (await asyncio.wait([renewing], timeout=last + LEASE_SECONDS - began))[0]:
                self._hold(frozenset())
            try:
                held, pause = await renewing
            except Exception as error:
                _say("the leases are not renewed", error)
                pause = _PAUSE_SECONDS
                if clock() - last > LEASE_SECONDS:
                    self._hold(frozenset())
            else:
                last = began
                self._hold(held)

    def _hold(self, held: frozenset[Shard]) -> None:
        gained, lost = held - self._held, self._held - held
        if not gained and not lost:
            return
        self._held = held
        self._poller.divide(self.owns)
        adopted, stepless = (
            [state for state in states if self._shard(state) in gained]
            for states in self._unfinished.left
        )
        spread = min(_ADOPT_SECONDS, len(adopted) / 100)
        for number, state in enumerate(adopted):
            self._watch(state, spread * number / len(adopted))
        # Whoever held them may have read none: there is no telling from outside.
        take_up_ended(self._poller, self._sources, stepless)
        logger.info(
            "%d shards gained with %d open runs and %d without steps, %d lost: %d held",
            len(gained),
            len(adopted),
            len(stepless),
            len(lost),
            len(held),
        )

    async def _follow(self) -> None:
        while not self._stopping.is_set():
            try:
                page, news, passed = await asyncio.to_thread(self._read)
            except UnreadableEvent as error:
                # Of a newer release, which follows its run; the others are followed on here.
                logger.warning("passed over: %s", error)
                self._position += 1
            except Exception as error:
                _say("events are not followed", error)
                await self._stopped_within(_PAUSE_SECONDS)
            else:
                self._take(page, news, passed)

    def _read(self) -> tuple[Sequence[RecordedEvent], set[int], set[int]]:
        """The next events, and the positions of those that `Histories.outdate` tells apart."""
        if not self._store.wait(self._position, _WAIT_SECONDS):
            return (), set(), set()
        page = self._store.read_all(self._position, _PAGE)
        return page, *self._histories.outdate(page)

    def _take(self, page: Sequence[RecordedEvent], news: set[int], passed: set[int]) -> None:
        for entry in page:
            self._position, stream = entry.position, entry.stream
            before = self._unfinished.open.get(stream, initial_state)
            state = self._unfinished.take(entry)
            if state is None:
                continue
            if entry.position in news and (watched := self._poller.find(stream)):
                self._poller.notice(stream, state)
                if state.vanished and not before.vanished:
                    watched.fail(NotFound(f"{state.run_id}: the service knows no such run"))
            # Where more is known here, its last event tells whether the run is to be polled.
            if state.is_ended or entry.position in passed:
                continue
            if self._shard(state) in self._held:
                self._watch(state, 0.0)

    def _watch(self, state: RunState, after: float) -> None:
        source = self._sources.get(state.source)
        if source is not None and not state.vanished:
            thread_id = state.thread_id or ""
            self._poller.watch(source, thread_id, state.run_id, state=state, after=after)

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True


def _say(what: str, error: Exception) -> None:
    # Nobody waits for what runs in the background: it goes on, whatever comes.
    logger.warning("%s: %s", what, error, exc_info=not isinstance(error, StoreError))
