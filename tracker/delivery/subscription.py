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
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple
from zlib import crc32

from tracker.core.events import ConfigurationRecorded, Unreadable
from tracker.core.state import RunState
from tracker.delivery.backlog import Backlog, Entry, PendingRun, UndeliveredRun
from tracker.delivery.caller import HandlerCaller, find_error
from tracker.delivery.handlers import (
    CONCURRENCY,
    GIVE_UP_SECONDS,
    Delivery,
    DeliveryProgress,
    Handler,
    HandlerSet,
    ParkedRun,
)
from tracker.delivery.ledger import Ledger
from tracker.delivery.store_access import StoreAccess
from tracker.errors import StoreError, StoreUnavailable
from tracker.event_store import EventStore, RecordedEvent
from tracker.runtime.clock import Clock
from tracker.runtime.log_fields import of_handlers, of_run

logger = logging.getLogger("runfold.delivery")

_PAGE_SIZE = 500
# Reading pauses while so many events wait in memory, or so many runs are held up by failures.
MOST_WAITING = 500
MOST_FAILING = 10_000
# A wake-up may be missing: the listener may fail, and does not see every writer.
FALLBACK_SECONDS = 1.0
STOP_SECONDS = 30.0
# The checkpoints of many shards are stored this often, though no handler was called.
_SWEEP_SECONDS = 1.0
_LONGEST_ERROR = 1000
# What waits for the database is delivered soon after it is back.
_UNAVAILABLE_SECONDS = 2.0

# Returns the recorded states of the runs of streams, as far as they can be read.
ReadStates = Callable[[Sequence[str]], dict[str, RunState]]


def retry_pause(attempts: int, jitter: float) -> float:
    """Returns the seconds until a handler is called again.

    `jitter`, from 0 to 1, shortens them by up to half.
    """
    return min(0.5 * 2.0 ** min(attempts - 1, 7), 60.0) * (1 - jitter / 2)


class _Page(NamedTuple):
    """A page of events, and those among them that cannot be read."""

    entries: list[Entry]
    last: int
    unreadable: list[tuple[int, RecordedEvent, str]]


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
        self._handlers, self._store, self._ledger = handlers, store, ledger
        self._read_states, self._access, self._clock = read_states, access, clock
        self._shards, self._holder, self._jitter = shards, holder, jitter
        self._free = concurrency = handlers.concurrency or CONCURRENCY
        self._give_up_after = handlers.give_up_after or GIVE_UP_SECONDS
        self._caller = HandlerCaller(handlers.name, concurrency)
        self._backlog = Backlog()
        self._calls: set[asyncio.Task[object]] = set()
        # Calls whose time is over, but which have not ended.
        self._late: set[asyncio.Task[object]] = set()
        self._wake_up, self._stopping = asyncio.Event(), asyncio.Event()
        self._save_due = asyncio.Event()
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
        running = len(self._calls)
        here = DeliveryProgress(
            self.name,
            position,
            error=self._error,
            here=bool(backlog.shards),
            running=running,
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
            if self._calls:
                await asyncio.wait(self._calls, timeout=STOP_SECONDS)
            if self._calls:
                logger.warning(
                    "the handler %r has not finished in %.0f s: its event will be delivered again",
                    self.name,
                    STOP_SECONDS,
                    extra=of_handlers(self.name),
                )
            self._is_finished = True
            self._save_due.set()
            await asyncio.gather(*tasks)
            await self._store_changes(everything=True)
        except StoreError as error:
            self._warn("store what is done", error)
        finally:
            for task in (*tasks, *self._calls):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._caller.close()

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
        self._dispatch()
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
        start = last if self._handlers.since == "now" else 0
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
                await _wait_for(self._stopping, pause)

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
            page = await self._access.run(self._read_page, after)
            self._error = None
            if epoch != backlog.epoch:
                return
            for shard, recorded, reason in page.unreadable:
                if backlog.accepts(shard, recorded.position):
                    self._warn_of_unreadable(recorded, reason)
            backlog.add(page.entries, page.last)
            self._dispatch()
            is_caught_up = page.last == after
            if not backlog.is_saved and self._is_sweep_due(is_caught_up):
                self._save_due.set()
            if not is_caught_up:
                return
            if self._parked or len(backlog.shards) < self._shards:
                await self._refresh()
        await _wait_for(self._wake_up, FALLBACK_SECONDS)

    def _has_room(self) -> bool:
        """True if more events may be read."""
        backlog = self._backlog
        return backlog.events < MOST_WAITING and len(backlog.failing) < MOST_FAILING

    def _is_sweep_due(self, is_caught_up: bool) -> bool:
        """True if checkpoints are to be stored even if no handler was called."""
        elapsed = asyncio.get_running_loop().time() - self._swept_at
        return elapsed >= _SWEEP_SECONDS or (is_caught_up and self._shards == 1)

    def _read_page(self, after: int) -> _Page:
        entries, unreadable, last = [], [], after
        wanted: dict[str, RunState] = {}
        selected = []
        for recorded in self._store.read_all(after, _PAGE_SIZE):
            last, event = recorded.position, recorded.event
            shard = self._shard_of(recorded.stream)
            if isinstance(event, Unreadable):
                unreadable.append((shard, recorded, event.reason))
            elif (
                not isinstance(event, ConfigurationRecorded)
                and self._backlog.accepts(shard, recorded.position)
                and self._handlers.select(event)
            ):
                selected.append((shard, recorded))
        if selected:
            wanted = self._read_states(list({it.stream for _, it in selected}))
        for shard, it in selected:
            state = wanted[it.stream]
            # One without a state may have been forgotten since the page was read.
            is_stored = state.run_id or self._is_stored(it)
            delivery = _make_delivery(it, state) if is_stored else None
            entries.append(Entry(it.position, it.stream, shard, delivery))
        return _Page(entries, last, unreadable)

    def _is_stored(self, recorded: RecordedEvent) -> bool:
        stored = self._store.read(recorded.stream, recorded.version - 1)
        return any(it.position == recorded.position for it in stored)

    def _shard_of(self, stream: str) -> int:
        return crc32(stream.encode(errors="surrogatepass")) % self._shards

    async def _refresh(self) -> None:
        """Reads the progress in all processes; takes up parked runs that are to be retried."""
        standing = await self._access.run(self._ledger.read, self.name)
        if standing is None:
            return
        self._stored_position = standing.position
        self._set_parked(standing.runs)
        self._backlog.resume(it for it in standing.runs if not it.is_parked)
        self._dispatch()

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

    # Calling.

    def _dispatch(self) -> None:
        """Starts the handlers whose turn it is."""
        while self._free > 0 and not self._stopping.is_set():
            run = self._backlog.take()
            if run is None:
                return
            self._free -= 1
            if run.is_loaded:
                self._call(run)
            else:
                self._track(asyncio.create_task(self._load(run)), lambda _: None)

    def _track(
        self, call: asyncio.Task[object], on_end: Callable[[asyncio.Task[object]], None]
    ) -> None:
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        call.add_done_callback(on_end)

    async def _load(self, run: PendingRun) -> None:
        """Reads the events of a run that was held up, and calls the handler with the first one."""
        known = self._backlog.find_known(run.shard)
        self._backlog.prepare_loading(run)
        try:
            deliveries = await self._access.run(self._read_run, run.stream, run.version, known)
        except Exception as error:
            self._free += 1
            self._on_failure(run, error)
            return
        if self._backlog.runs.get(run.stream) is not run:
            self._free += 1
            self._backlog.release(run.stream)
        elif self._backlog.load(run, deliveries):
            self._call(run)
            return
        else:
            self._free += 1
            self._save_due.set()
        self._dispatch()

    def _read_run(self, stream: str, version: int, known: int) -> list[Delivery]:
        events = [it for it in self._store.read(stream, version - 1) if it.position <= known]
        chosen = [
            it
            for it in events
            if not isinstance(it.event, Unreadable) and self._handlers.select(it.event)
        ]
        if not chosen:
            return []
        state = self._read_states([stream])[stream]
        return [_make_delivery(it, state) for it in chosen]

    def _call(self, run: PendingRun) -> None:
        """Calls the next handler with the first event of a run."""
        delivery = run.deliveries[0]
        handlers = self._handlers.select(delivery.event)
        if run.handlers_done >= len(handlers):
            self._backlog.acknowledge(run)
            self._free += 1
            self._save_due.set()
            return
        handler = handlers[run.handlers_done]
        call = self._caller.start(handler, delivery)
        timer = None
        if self._handlers.timeout is not None:
            timer = asyncio.get_running_loop().call_later(
                self._handlers.timeout, self._on_timeout, run, handler, call
            )
        self._track(call, partial(self._on_end, run, len(handlers), timer))

    def _on_timeout(self, run: PendingRun, handler: Handler, call: asyncio.Task[object]) -> None:
        """Counts a call that takes too long as failed, and gives its place to another one."""
        if call.done():
            return
        self._late.add(call)
        self._free += 1
        if self._backlog.runs.get(run.stream) is run:
            error = TimeoutError(f"the handler has not finished in {self._handlers.timeout:g} s")
            self._note_failure(run, error)
        self._caller.abandon(handler, call)
        self._dispatch()

    def _on_end(
        self,
        run: PendingRun,
        handlers: int,
        timer: asyncio.TimerHandle | None,
        call: asyncio.Task[object],
    ) -> None:
        if timer is not None:
            timer.cancel()
        error, is_late = find_error(call), call in self._late
        self._late.discard(call)
        if not is_late:
            self._free += 1
        if self._backlog.runs.get(run.stream) is not run:
            # The run was lost meanwhile: another process delivers its event again.
            self._backlog.release(run.stream)
        elif error is None:
            run.handlers_done += 1
            if run.handlers_done < handlers and not self._stopping.is_set() and not is_late:
                self._free -= 1
                self._call(run)
                return
            if run.handlers_done < handlers:
                self._hold_back(run)
            else:
                self._backlog.acknowledge(run)
                self._save_due.set()
        elif is_late:
            self._hold_back(run)
        elif not self._stopping.is_set() or not call.cancelled():
            self._on_failure(run, error)
        self._dispatch()

    def _on_failure(self, run: PendingRun, error: BaseException) -> None:
        self._note_failure(run, error)
        self._hold_back(run)

    def _note_failure(self, run: PendingRun, error: BaseException) -> None:
        text = f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]
        self._backlog.fail(run, error, text, self._clock.now().timestamp())

    def _hold_back(self, run: PendingRun) -> None:
        """Has a run that failed wait for its next attempt, or parks it."""
        now, since = self._clock.now().timestamp(), run.failing_since
        lasts = 0.0 if since is None else now - since
        is_over = lasts >= self._give_up_after
        extra = of_run(run.stream) | of_handlers(self.name)
        if is_over:
            logger.error(
                "%s: parked after %d failures of the handler %r at position %d, within %.0f s; "
                "cure: runfold deliveries retry %s",
                *(run.stream, run.attempts, self.name, run.position, lasts),
                run.stream.partition(":")[2],
                exc_info=run.error,
                extra=extra,
            )
            parked = describe_parked(self.name, run.make_row())
            self._parked = (*self._parked, parked)
        elif run.error is not None:
            pause = retry_pause(run.attempts, self._jitter())
            # One that would come after its time is over comes when it is over.
            pause = min(pause, max(self._give_up_after - lasts, 0.0) + 0.01)
            logger.warning(
                "%s: the handler %r raised at position %d, and is called again in %.1f s",
                *(run.stream, self.name, run.position, pause),
                exc_info=run.error,
                extra=extra,
            )
            asyncio.get_running_loop().call_later(pause, self._retry, run)
        else:
            asyncio.get_running_loop().call_soon(self._retry, run)
        self._backlog.hold_back(run, park=is_over)
        self._save_due.set()

    def _retry(self, run: PendingRun) -> None:
        self._backlog.retry(run)
        self._dispatch()

    # Storing what is done.

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
        self._dispatch()
        if self._is_paused and self._has_room():
            self._wake_up.set()


def describe_parked(name: str, row: UndeliveredRun) -> ParkedRun:
    """Returns the parked run of a row."""
    source, _, run_id = row.stream.partition(":")
    since = datetime.fromtimestamp(row.failing_since or 0.0, UTC)
    return ParkedRun(
        name, source, run_id, row.position, row.version, row.attempts, row.error or "", since
    )


def _make_delivery(recorded: RecordedEvent, state: RunState) -> Delivery:
    # Not the ids of the state: it has none if the first event of the run cannot be read.
    source, _, run_id = recorded.stream.partition(":")
    return Delivery(
        state.source or source,
        state.thread_id or "",
        state.run_id or run_id,
        recorded.position,
        recorded.version,
        recorded.event,
    )


async def _wait_for(event: asyncio.Event, seconds: float) -> None:
    """Returns once an event is set, or after so many seconds."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
