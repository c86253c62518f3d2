"""A subscription: reads events in order, and delivers them to the handlers of one name.

A handler that raises is called again, after a pause that doubles from half a second to a minute,
until it succeeds; the later events of this name wait for that. Of several processes, the one that
holds the lease delivers. The lease does not protect the checkpoint: that only moves forward, and
only from the position where it is known to be.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from threading import Lock
from typing import TypeVar

from tracker.core.events import ConfigurationRecorded, Unreadable
from tracker.core.state import RunState
from tracker.delivery.caller import HandlerCaller
from tracker.delivery.checkpoints import Checkpoints
from tracker.delivery.handlers import Delivery, DeliveryProgress, Handler, HandlerSet
from tracker.delivery.lease import Lease
from tracker.errors import StoreUnavailable
from tracker.event_store import EventStore, RecordedEvent
from tracker.runtime.log_fields import of_handlers, of_run
from tracker.runtime.worker_threads import WorkerThreads

Result = TypeVar("Result")

logger = logging.getLogger("runfold.delivery")

_PAGE_SIZE = 500
# A wake-up may be missing: the listener may fail, and does not see every writer.
FALLBACK_SECONDS = 1.0
STOP_SECONDS = 30.0
_UNAVAILABLE_SECONDS = 2.0


def retry_pause(attempts: int, jitter: float) -> float:
    """Returns the seconds until a handler is called again.

    `jitter`, from 0 to 1, shortens them by up to half.
    """
    return min(0.5 * 2.0 ** min(attempts - 1, 7), 60.0) * (1 - jitter / 2)


class Subscription:
    """Delivers events to the handlers of one name, while it is started.

    `state_of` returns the recorded state of the run of a stream as far as it can be read, `jitter`
    numbers from 0 to 1. An event that cannot be read is logged, and delivered to nobody.
    """

    def __init__(
        self,
        handlers: HandlerSet,
        store: EventStore,
        checkpoints: Checkpoints,
        state_of: Callable[[str], RunState],
        threads: WorkerThreads,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._handlers = handlers
        self._store = store
        self._checkpoints = checkpoints
        self._state_of = state_of
        self._threads = threads
        self._jitter = jitter
        self._progress = DeliveryProgress(handlers.name, 0)
        # The checkpoint, as it was last read or written.
        self._saved = 0
        # False until the checkpoint was read under the lease that is held.
        self._is_up_to_date = False
        self._wake_up = asyncio.Event()
        self._stopping = asyncio.Event()
        self._delivery_task: asyncio.Task[None] | None = None
        self._lease_task: asyncio.Task[None] | None = None
        self._caller = HandlerCaller(handlers.name)
        self._lease = Lease(handlers.name, checkpoints, self._run_in_thread, self._wake_up.set)
        # Held while a worker thread uses the store.
        self._store_lock = Lock()
        self._is_closed = False

    @property
    def progress(self) -> DeliveryProgress:
        """The progress of the handlers, and the error that holds them up."""
        return self._progress

    async def start(self) -> None:
        """Reads the checkpoint and starts to deliver. Raises StoreUnavailable."""
        self._saved = await self._run_in_thread(self._create_checkpoint)
        self._progress = replace(self._progress, position=self._saved)
        self._lease_task = asyncio.create_task(self._lease.run())
        self._delivery_task = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Makes it check for events at once. To be called on the event loop's own thread."""
        self._wake_up.set()

    async def stop(self) -> None:
        """Lets a handler that is running finish, for half a minute, and calls no other."""
        self._stopping.set()
        self._wake_up.set()
        delivery, lease, self._delivery_task = self._delivery_task, self._lease_task, None
        if delivery is None or lease is None:
            return
        try:
            await asyncio.wait({delivery}, timeout=STOP_SECONDS)
            if not delivery.done():
                logger.warning(
                    "the handler %r has not finished in %.0f s: its event will be delivered again",
                    self._handlers.name,
                    STOP_SECONDS,
                    extra=of_handlers(self._handlers.name),
                )
            self._lease.stop()
            await lease
        finally:
            for task in (delivery, lease):
                task.cancel()
            await asyncio.gather(delivery, lease, return_exceptions=True)
            self._caller.close()
            # A database must not be closed while a worker thread uses it.
            with self._store_lock:
                self._is_closed = True

    async def _run_in_thread(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Calls a function that uses the store, in a worker thread."""

        def call() -> Result:
            with self._store_lock:
                if self._is_closed:
                    raise StoreUnavailable("the tracker is closing: nothing more is delivered")
                return work(*arguments)

        return await self._threads.run(call)

    def _create_checkpoint(self) -> int:
        last, name = self._store.last_position(), self._handlers.name
        start = last if self._handlers.since == "now" else 0
        position = self._checkpoints.get_or_create(name, start)
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

    def _read_checkpoint(self, known: int) -> int:
        """Returns the checkpoint, or creates it at the known position if somebody deleted it."""
        found = self._checkpoints.read(self._handlers.name)
        if found is None:
            return self._checkpoints.get_or_create(self._handlers.name, known)
        return found

    async def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._wake_up.clear()
            try:
                if self._lease.is_held and self._is_up_to_date:
                    await self._deliver_page()
                else:
                    await self._synchronise()
                failures = 0
            except Exception as error:
                failures += 1
                self._progress = replace(self._progress, attempts=failures, error=error)
                name = self._handlers.name
                logger.warning(
                    "cannot deliver to the handlers %r: %s", name, error, extra=of_handlers(name)
                )
                pause = retry_pause(failures, self._jitter())
                if isinstance(error, StoreUnavailable):
                    # What waits for the database is delivered soon after it is back.
                    pause = min(pause, _UNAVAILABLE_SECONDS)
                await _wait_for(self._stopping, pause)

    async def _synchronise(self) -> None:
        """Moves to the checkpoint, and waits a while if another process holds the lease."""
        self._is_up_to_date = self._lease.is_held
        self._saved = await self._run_in_thread(self._read_checkpoint, self._saved)
        self._progress = DeliveryProgress(
            self._handlers.name, self._saved, here=self._lease.is_held
        )
        if not self._is_up_to_date:
            await _wait_for(self._wake_up, FALLBACK_SECONDS)

    async def _deliver_page(self) -> None:
        """Delivers a page of events, or waits a while for the next event."""
        page = await self._run_in_thread(self._store.read_all, self._progress.position, _PAGE_SIZE)
        if self._progress.error is not None:
            self._progress = replace(self._progress, attempts=0, error=None)
        for recorded in page:
            if self._stopping.is_set() or self._has_lost_lease():
                break
            if isinstance(recorded.event, Unreadable):
                self._warn_of_unreadable(recorded, recorded.event.reason)
            handlers = self._handlers.select(recorded.event)
            if handlers and not isinstance(recorded.event, ConfigurationRecorded | Unreadable):
                if not await self._deliver(recorded, handlers):
                    break
                self._progress = replace(self._progress, position=recorded.position)
                if not await self._save():
                    return
            else:
                self._progress = replace(self._progress, position=recorded.position)
        # Events that no handler receives cost no write of their own while more events follow.
        done = self._progress.position
        if done >= self._saved + _PAGE_SIZE or self._stopping.is_set() or not page:
            await self._save()
        if not page:
            await _wait_for(self._wake_up, FALLBACK_SECONDS)

    def _warn_of_unreadable(self, recorded: RecordedEvent, reason: str) -> None:
        logger.warning(
            "%s: the event at position %d is not delivered to the handlers %r: %s",
            recorded.stream,
            recorded.position,
            self._handlers.name,
            reason,
            extra=of_run(recorded.stream) | of_handlers(self._handlers.name),
        )

    async def _save(self) -> bool:
        """Advances the checkpoint. Returns False if another process is ahead."""
        position = self._progress.position
        if position <= self._saved:
            return True
        name = self._handlers.name
        if await self._run_in_thread(self._checkpoints.advance, name, self._saved, position):
            self._saved = position
            return True
        self._saved = await self._run_in_thread(self._read_checkpoint, position)
        self._progress = replace(self._progress, position=max(position, self._saved))
        return self._saved <= position

    async def _deliver(self, recorded: RecordedEvent, handlers: list[Handler]) -> bool:
        """Calls each handler until it succeeds. Returns False if delivery has to stop before."""
        state = await self._threads.run(self._state_of, recorded.stream)
        if not state.run_id and not await self._run_in_thread(self._is_stored, recorded):
            # It was forgotten since the page was read.
            return True
        delivery = Delivery(
            state.source,
            state.thread_id or "",
            state.run_id,
            recorded.position,
            recorded.version,
            recorded.event,
        )
        for handler in handlers:
            attempts = 0
            while (error := await self._caller.call(handler, delivery)) is not None:
                attempts += 1
                self._progress = replace(
                    self._progress, failing=delivery, attempts=attempts, error=error
                )
                pause = retry_pause(attempts, self._jitter())
                logger.warning(
                    "%s: the handler %r raised at position %d, and is called again in %.1f s",
                    recorded.stream,
                    self._handlers.name,
                    recorded.position,
                    pause,
                    exc_info=error,
                    extra=of_run(recorded.stream) | of_handlers(self._handlers.name),
                )
                await _wait_for(self._stopping, pause)
                if self._stopping.is_set() or self._has_lost_lease():
                    return False
            self._progress = replace(self._progress, failing=None, attempts=0, error=None)
        return True

    def _is_stored(self, recorded: RecordedEvent) -> bool:
        stored = self._store.read(recorded.stream, recorded.version - 1)
        return any(it.position == recorded.position for it in stored)

    def _has_lost_lease(self) -> bool:
        """True if the lease was lost: another process may have advanced the checkpoint."""
        if not self._lease.is_held:
            self._is_up_to_date = False
        return not self._lease.is_held


async def _wait_for(event: asyncio.Event, seconds: float) -> None:
    """Returns once an event is set, or after so many seconds."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
