"""A subscription: reads events, and delivers them to the handlers of one name.

The events of a run are delivered one at a time, in order; those of different runs at once. A run
whose handler raises is tried again by itself, after a pause that doubles from half a second to a
minute, and is parked after a day. The next event of a run waits until the one before is stored as
done, so that a kill repeats at most one event of each run.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tracker.delivery.backlog import Backlog, UndeliveredRun
from tracker.delivery.dispatcher import Dispatcher, retry_pause
from tracker.delivery.event_reader import EventReader, ReadStates
from tracker.delivery.handlers import DeliveryProgress, HandlerSet, ParkedRun
from tracker.delivery.ledger import Ledger
from tracker.delivery.store_access import StoreAccess
from tracker.errors import StoreError, StoreUnavailable
from tracker.event_store import EventStore, RecordedEvent
from tracker.runtime.clock import Clock
from tracker.runtime.log_fields import of_handlers, of_run
from tracker.runtime.waiting import wait_until_set

logger = logging.getLogger("runfold.delivery")

# Reading pauses while so many events wait in memory, or so many runs are held up by failures.
MOST_WAITING = 500
MOST_FAILING = 10_000
# A wake-up may be missing: the listener may fail, and does not see every writer.
FALLBACK_SECONDS = 1.0
# The checkpoints of many shards are stored this often, though no handler was called.
_SWEEP_SECONDS = 1.0
# What waits for the database is delivered soon after it is back.
_UNAVAILABLE_SECONDS = 2.0


class Subscription:
    """Delivers events to the handlers of one name, while it is started.

    `jitter` returns numbers from 0 to 1. An event that cannot be read is logged, and delivered to
    nobody. At most 1,000 events wait in memory.
    """

    def __init__(
        self,
        handlers: HandlerSet,
        store: EventStore,
        ledger: Ledger,
        read_states: ReadStates,
        access: StoreAccess,
        clock: Clock,
        shards: int,
        holder: str,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = handlers.name
        self._since, self._store, self._ledger, self._access = handlers.since, store, ledger, access
        self._shards, self._holder, self._jitter = shards, holder, jitter
        self._wake_up, self._stopping = asyncio.Event(), asyncio.Event()
        self._save_due = asyncio.Event()
        self._backlog = backlog = Backlog()
        self._reader = reader = EventReader(store, handlers, read_states, shards)
        self._dispatcher = Dispatcher(
            handlers, backlog, reader, access, clock, jitter, self._save_due.set, self._add_parked
        )
        self._swept_at = 0.0
        # True while reading waits for handlers; and once nothing more is to be stored.
        self._is_paused = self._is_finished = False
        self._error: Exception | None = None
        # The progress in all processes, as it was last read.
        self._stored_position = 0
        self._parked: tuple[ParkedRun, ...] = ()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def progress(self) -> DeliveryProgress:
        """The progress of the handlers, and the error that holds up the oldest failing run."""
        backlog, position = self._backlog, self._stored_position
        if len(backlog.shards) == self._shards:
            position = backlog.find_done_position()
        oldest = min(backlog.failing.values(), key=lambda it: it.position, default=None)
        here = DeliveryProgress(
            self.name,
            position,
            error=self._error,
            here=bool(backlog.shards),
            running=self._dispatcher.running,
            waiting=backlog.count_ready(),
            failing_runs=len(backlog.failing),
            parked=self._parked,
        )
        if oldest is None or not oldest.deliveries:
            return here
        error = oldest.error if isinstance(oldest.error, Exception) else self._error
        return replace(here, failing=oldest.deliveries[0], attempts=oldest.attempts, error=error)

    async def start(self) -> None:
        """Reads the checkpoint and starts to deliver. Raises StoreUnavailable."""
        self._stored_position = await self._access.run(self._create_checkpoints)
        self._tasks = [
            asyncio.create_task(self._run("read events", self._read, self._stopping.is_set)),
            asyncio.create_task(self._run("store what is done", self._save, self._is_over)),
        ]

    def wake(self) -> None:
        """Makes it check for events at once. To be called on the event loop's own thread."""
        self._wake_up.set()

    async def stop(self) -> None:
        """Lets handlers that are running finish, for half a minute, and calls no other."""
        self._stopping.set()
        self._wake_up.set()
        tasks, self._tasks = self._tasks, []
        if not tasks:
            return
        try:
            await self._dispatcher.stop()
            self._is_finished = True
            self._save_due.set()
            await asyncio.gather(*tasks)
            await self._store_changes(everything=True)
        except StoreError as error:
            self._warn("store what is done", error)
        finally:
            for task in tasks:
                task.cancel()
            self._dispatcher.close()
            await asyncio.gather(*tasks, return_exceptions=True)

    # The share of the runs that is delivered here.

    async def set_share(self, held: Collection[int], excess: Collection[int]) -> None:
        """Takes over the runs of shards that are held now, and drops those of others."""
        backlog, chosen = self._backlog, set(held)
        backlog.drop(set(backlog.shards) - chosen)
        backlog.withdraw(excess)
        gained = chosen - set(backlog.shards) - set(excess)
        if not gained or self._stopping.is_set():
            return
        positions, rows = await self._access.run(self._claim, gained, max(self._stored_position, 0))
        by_shard: dict[int, list[UndeliveredRun]] = {}
        for row in rows:
            by_shard.setdefault(row.shard, []).append(row)
        for shard, position in positions.items():
            backlog.gain(shard, position, by_shard.get(shard, ()))
        self._dispatcher.dispatch()
        self._wake_up.set()

    def give_up(self, excess: Collection[int]) -> list[int]:
        """Drops those of the shards in which nothing is under way, and returns them."""
        idle = self._backlog.list_idle(excess)
        self._backlog.drop(idle)
        if len(idle) < len(excess):
            self._save_due.set()
        return idle

    def drop_all(self) -> None:
        """Drops all shards, because another process may hold them."""
        self._backlog.drop(list(self._backlog.shards))

    # Reading.

    def _create_checkpoints(self) -> int:
        last, name = self._store.last_position(), self.name
        start = last if self._since == "now" else 0
        position = self._ledger.create(name, self._shards, start)
        if position > last:
            logger.warning(
                "the checkpoint of the handlers %r is at position %d, but the last event is at %d: "
                "events up to there are not delivered; was the database restored from a backup?",
                name,
                position,
                last,
                extra=of_handlers(name),
            )
        return position

    def _claim(
        self, shards: Collection[int], position: int
    ) -> tuple[dict[int, int], list[UndeliveredRun]]:
        # Somebody may have deleted the checkpoints.
        self._ledger.create(self.name, self._shards, position)
        return self._ledger.claim(self.name, shards, self._holder)

    async def _run(
        self, what: str, work: Callable[[], Coroutine[Any, Any, None]], is_over: Callable[[], bool]
    ) -> None:
        """Calls a coroutine function again and again, until it is over."""
        failures = 0
        while not is_over():
            try:
                await work()
                failures = 0
            except Exception as error:
                failures += 1
                self._error = error
                self._warn(what, error)
                if self._stopping.is_set():
                    return
                pause = retry_pause(failures, self._jitter())
                if isinstance(error, StoreUnavailable):
                    pause = min(pause, _UNAVAILABLE_SECONDS)
                await wait_until_set(self._stopping, pause)

    def _is_over(self) -> bool:
        return self._is_finished

    def _warn(self, what: str, error: Exception) -> None:
        logger.warning(
            "cannot deliver to the handlers %r: cannot %s: %s",
            self.name,
            what,
            error,
            extra=of_handlers(self.name),
            exc_info=not isinstance(error, StoreError),
        )

    async def _read(self) -> None:
        """Reads a page of events, or waits a while for the next event."""
        self._wake_up.clear()
        backlog = self._backlog
        self._is_paused = not self._has_room()
        if not backlog.shards:
            await self._refresh()
        elif not self._is_paused:
            epoch, after = backlog.epoch, backlog.position
            page = await self._access.run(self._reader.read_page, after, backlog.accepts)
            self._error = None
            if epoch != backlog.epoch:
                return
            for shard, recorded, reason in page.unreadable:
                if backlog.accepts(shard, recorded.position):
                    self._warn_of_unreadable(recorded, reason)
            backlog.add(page.entries, page.last)
            self._dispatcher.dispatch()
            is_caught_up = page.last == after
            if not backlog.is_saved and self._is_sweep_due(is_caught_up):
                self._save_due.set()
            if not is_caught_up:
                return
            if self._parked or len(backlog.shards) < self._shards:
                await self._refresh()
        await wait_until_set(self._wake_up, FALLBACK_SECONDS)

    def _has_room(self) -> bool:
        """True if more events may be read."""
        backlog = self._backlog
        return backlog.events < MOST_WAITING and len(backlog.failing) < MOST_FAILING

    def _is_sweep_due(self, is_caught_up: bool) -> bool:
        """True if checkpoints are to be stored even if no handler was called."""
        elapsed = asyncio.get_running_loop().time() - self._swept_at
        return elapsed >= _SWEEP_SECONDS or (is_caught_up and self._shards == 1)

    async def _refresh(self) -> None:
        """Reads the progress in all processes; takes up parked runs that are to be retried."""
        standing = await self._access.run(self._ledger.read, self.name)
        if standing is None:
            return
        self._stored_position = standing.position
        self._set_parked(standing.runs)
        self._backlog.resume(it for it in standing.runs if not it.is_parked)
        self._dispatcher.dispatch()

    def _add_parked(self, row: UndeliveredRun) -> None:
        self._parked = (*self._parked, describe_parked(self.name, row))

    def _set_parked(self, rows: Sequence[UndeliveredRun]) -> None:
        self._parked = tuple(describe_parked(self.name, it) for it in rows if it.is_parked)

    def _warn_of_unreadable(self, recorded: RecordedEvent, reason: str) -> None:
        logger.warning(
            "%s: the event at position %d is not delivered to the handlers %r: %s",
            recorded.stream,
            recorded.position,
            self.name,
            reason,
            extra=of_run(recorded.stream) | of_handlers(self.name),
        )

    async def _save(self) -> None:
        """Stores what is done, as soon as something is."""
        await self._save_due.wait()
        if self._is_finished:
            return
        self._save_due.clear()
        await self._store_changes(everything=self._is_sweep_due(True))

    async def _store_changes(self, *, everything: bool) -> None:
        save = self._backlog.plan(everything=everything)
        if everything:
            self._swept_at = asyncio.get_running_loop().time()
        try:
            lost = set()
            if save.positions:
                lost = await self._access.run(self._ledger.save, self.name, self._holder, save)
        except BaseException:
            self._backlog.keep(save)
            self._save_due.set()
            raise
        self._backlog.confirm(save)
        self._backlog.drop(lost)
        self._dispatcher.dispatch()
        if self._is_paused and self._has_room():
            self._wake_up.set()


def describe_parked(name: str, row: UndeliveredRun) -> ParkedRun:
    """Returns the parked run of a row."""
    source, _, run_id = row.stream.partition(":")
    since = datetime.fromtimestamp(row.failing_since or 0.0, UTC)
    return ParkedRun(
        name, source, run_id, row.position, row.version, row.attempts, row.error or "", since
    )
