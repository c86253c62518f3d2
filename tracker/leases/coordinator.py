"""The coordinator of one tracker among several: it polls its shards, and follows the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from tracker.core.state import RunState, initial_state
from tracker.errors import StoreError
from tracker.event_store.store import EventStore, RecordedEvent
from tracker.leases.postgres import SHARD_LEASE_SECONDS, PostgresLeases
from tracker.leases.shards import Shard, shard_of
from tracker.polling.recovery import (
    pending_since,
    resume_ended_runs,
    resume_looks,
    unknown_run,
)
from tracker.polling.run_updates import RunUpdates
from tracker.polling.watch_list import WatchList
from tracker.recording.pending_runs import PendingRuns
from tracker.recording.repository import RunRepository
from tracker.runtime.clock import Clock
from tracker.runtime.waiting import wait_until_set
from tracker.runtime.worker_threads import WorkerThreads
from tracker.sources.source import Source

logger = logging.getLogger("runfold.leases")

# The longest that closing may have to wait for the thread that follows the store.
_FOLLOW_SECONDS = 0.25
_RETRY_SECONDS = 1.0
_EVENTS_PER_PAGE = 500
# The first polls of new runs are spread over this time at most. Short: nobody has polled these
# runs for as long as a lease lasts, and the rate limiter holds them back.
_SPREAD_SECONDS = 2.0


class _Followed(NamedTuple):
    """Events that were followed, and states of runs that others poll, read after them.

    `news` and `passed` are the two sets of positions of `RunRepository.invalidate`.
    """

    page: Sequence[RecordedEvent]
    news: set[int]
    passed: set[int]
    states: Mapping[str, RunState]


class ShardCoordinator:
    """Renews the leases of a tracker, and follows all events of the store.

    From the events it knows each open run, and each that ended within a day without steps: when
    it gains their shard, the open ones are polled at once, and the steps of the others are read.
    Coroutines that wait here for a run which another tracker polls get its new states. A run that
    is not recorded yet is polled by the tracker that was asked to watch it.
    """

    def __init__(
        self,
        store: EventStore,
        repository: RunRepository,
        watch_list: WatchList,
        updates: RunUpdates,
        sources: Mapping[str, Source],
        leases: PostgresLeases,
        clock: Clock,
        threads: WorkerThreads,
    ) -> None:
        self._store = store
        self._repository = repository
        self._watch_list = watch_list
        self._updates = updates
        self._sources = sources
        self._leases = leases
        self._held: frozenset[Shard] = frozenset()
        self._workers = 1
        self._clock = clock
        self._threads = threads
        self._since = partial(pending_since, sources, clock)
        self._pending = PendingRuns(self._since)
        # Of the last event that was read.
        self._position = 0
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Reads what is pending and claims a first share; continues with both until `close`."""
        self._pending, self._position = await self._threads.run(
            self._repository.pending_runs, self._since, self._clock.now()
        )
        self._watch_list.set_ownership(self.owns)
        started = asyncio.get_running_loop().time()
        renewal = await self._threads.run(self._leases.renew)
        self._update_shards(renewal.held, renewal.workers)
        self._tasks = [
            asyncio.create_task(self._renew(started, renewal.renew_in)),
            asyncio.create_task(self._follow()),
        ]

    async def close(self) -> None:
        """Releases the shards, for others to claim at once."""
        self._stopping.set()
        self._leases.hurry()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._threads.run(self._leases.release)
        except StoreError as error:
            logger.warning("%s", error)

    def owns(self, source: str, key: str) -> bool:
        """True if this tracker polls the runs of a division key now; see `RunState`."""
        return shard_of(source, key) in self._held

    async def _renew(self, last: float, pause: float) -> None:
        clock = asyncio.get_running_loop().time
        while not await wait_until_set(self._stopping, pause):
            started = clock()
            renewing = asyncio.create_task(self._threads.run(self._leases.renew))
            expires_in = last + SHARD_LEASE_SECONDS - started
            if not (await asyncio.wait([renewing], timeout=expires_in))[0]:
                self._update_shards(frozenset(), self._workers)
            try:
                held, pause, _, workers = await renewing
            except Exception as error:
                if self._stopping.is_set():
                    return
                _log_failure("cannot renew the leases", error)
                pause = _RETRY_SECONDS
                if clock() - last > SHARD_LEASE_SECONDS:
                    self._update_shards(frozenset(), self._workers)
            else:
                last = started
                self._update_shards(held, workers)

    def _update_shards(self, held: frozenset[Shard], workers: int) -> None:
        gained, lost = held - self._held, self._held - held
        if not gained and not lost and workers == self._workers:
            return
        self._held, self._workers = held, workers
        self._watch_list.set_ownership(self.owns, workers)
        if not gained and not lost:
            return
        adopted, without_steps = (
            [state for state in states if shard_of(state.source, state.division_key) in gained]
            for states in self._pending.pending
        )
        spread = min(_SPREAD_SECONDS, len(adopted) / 100)
        for number, state in enumerate(adopted):
            self._watch(state, spread * number / len(adopted))
            if state.vanished and state.source in self._sources:
                resume_looks(self._watch_list, self._sources[state.source], state)
        # The previous holder may have read none of these steps; there is no way to know.
        resume_ended_runs(self._updates, self._sources, without_steps)
        logger.info(
            "%d shards gained with %d open runs and %d without steps, %d lost: %d held",
            len(gained),
            len(adopted),
            len(without_steps),
            len(lost),
            len(held),
        )

    async def _follow(self) -> None:
        while not self._stopping.is_set():
            unconfirmed = self._watch_list.take_unconfirmed()
            try:
                followed = await self._threads.run(self._read, unconfirmed)
            except Exception as error:
                if self._stopping.is_set():
                    return
                self._watch_list.mark_unconfirmed(unconfirmed)
                _log_failure("cannot follow the events", error)
                await wait_until_set(self._stopping, _RETRY_SECONDS)
            else:
                self._apply(followed)

    def _read(self, unconfirmed: Sequence[str]) -> _Followed:
        page: Sequence[RecordedEvent] = ()
        if unconfirmed or self._store.wait(self._position, _FOLLOW_SECONDS):
            page = self._store.read_all(self._position, _EVENTS_PER_PAGE)
        news, passed = self._repository.invalidate(page)
        # After the page: these states are at least as new as it.
        return _Followed(page, news, passed, self._repository.states(unconfirmed))

    def _apply(self, followed: _Followed) -> None:
        page, news, passed, states = followed
        # Recorded here meanwhile, so that what was read may be behind it.
        recorded_here = self._watch_list.take_unconfirmed()
        for entry in page:
            self._position, stream = entry.position, entry.stream
            before = self._pending.open.get(stream, initial_state)
            state = self._pending.apply(entry)
            if state is None:
                continue
            if entry.position in news:
                self._tell(stream, state, has_vanished=state.vanished and not before.vanished)
            # If this process knows later events of the run, the last of them decides about polls.
            if state.is_ended or entry.position in passed:
                continue
            if self.owns(state.source, state.division_key):
                self._watch(state, 0.0)
        for stream, state in states.items():
            self._tell(stream, state, has_vanished=state.vanished)
        # What was applied here is the newest, but for these.
        self._watch_list.take_unconfirmed()
        self._watch_list.mark_unconfirmed(recorded_here)

    def _tell(self, stream: str, state: RunState, *, has_vanished: bool) -> None:
        watched = self._watch_list.find(stream)
        # Nothing is recorded of a run that was forgotten meanwhile.
        if watched is None or state.status is None:
            return
        self._updates.on_state(stream, state)
        if has_vanished:
            watched.fail(unknown_run(state.run_id))

    def _watch(self, state: RunState, after: float) -> None:
        source = self._sources.get(state.source)
        if source is not None and not state.vanished:
            self._watch_list.watch(source, state.thread_id, state.run_id, state=state, after=after)


def _log_failure(what: str, error: Exception) -> None:
    # The background task goes on after any error, so this is the only place that shows it.
    logger.warning("%s: %s", what, error, exc_info=not isinstance(error, StoreError))
