"""Reads the events in order for the handlers of one name, and does not go on before they are done.

A handler that raises is called again after a pause that doubles from half a second to a minute,
for as long as it takes: what comes after waits, for this name alone. Of several processes the one
that has the lease delivers. What keeps the checkpoint from moving back is not the lease: it moves
only on, and only from where it is known to be.
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

from tracker.core.events import ConfigurationRecorded
from tracker.core.state import RunState
from tracker.delivery.caller import HandlerCaller
from tracker.delivery.checkpoints import Checkpoints
from tracker.delivery.handlers import Delivery, DeliveryProgress, Handler, HandlerSet
from tracker.delivery.lease import Lease
from tracker.errors import StoreUnavailable
from tracker.event_store import EventStore, RecordedEvent
from tracker.runtime.log_fields import of_handlers, of_run

Result = TypeVar("Result")

logger = logging.getLogger("runfold.delivery")

PAGE = 500
# Whoever tells of events may miss one, or fail.
LOOK_SECONDS = 1.0
STOP_SECONDS = 30.0


def retry_pause(attempts: int, jitter: float) -> float:
    """Seconds until a handler is called again; `jitter` from 0 to 1 takes up to half of it off."""
    return min(0.5 * 2.0 ** min(attempts - 1, 7), 60.0) * (1 - jitter / 2)


class Subscription:
    """Brings the events to the handlers of one name, while it is started.

    `state_of` gives what is known of the run of a stream. `jitter` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        handlers: HandlerSet,
        store: EventStore,
        checkpoints: Checkpoints,
        state_of: Callable[[str], RunState],
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._handlers = handlers
        self._store = store
        self._checkpoints = checkpoints
        self._state_of = state_of
        self._jitter = jitter
        self._is_up_to_date = False
        self._saved = 0
        self._progress = DeliveryProgress(handlers.name, 0)
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._holding: asyncio.Task[None] | None = None
        self._caller = HandlerCaller(handlers.name)
        self._lease = Lease(handlers.name, checkpoints, self._use, self._woken.set)
        self._using = Lock()
        self._is_closed = False

    @property
    def progress(self) -> DeliveryProgress:
        """How far the handlers are, and what holds them up."""
        return self._progress

    async def start(self) -> None:
        """Takes the place of the checkpoint, and begins. Raises StoreUnavailable."""
        self._saved = await self._use(self._begin)
        self._progress = replace(self._progress, position=self._saved)
        self._holding = asyncio.create_task(self._lease.keep())
        self._running = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Has it look for events at once. From the event loop's own thread."""
        self._woken.set()

    async def stop(self) -> None:
        """Lets the handler that is under way finish, for half a minute, and begins no other."""
        self._stopping.set()
        self._woken.set()
        running, holding, self._running = self._running, self._holding, None
        if running is None or holding is None:
            return
        try:
            await asyncio.wait({running}, timeout=STOP_SECONDS)
            if not running.done():
                logger.warning(
                    "the handler %r is not waited for any longer: its event will come again",
                    self._handlers.name,
                    extra=of_handlers(self._handlers.name),
                )
            self._lease.give_up()
            await holding
        finally:
            for task in (running, holding):
                task.cancel()
            await asyncio.gather(running, holding, return_exceptions=True)
            self._caller.close()
            # A database must not be closed under a thread that still uses it.
            with self._using:
                self._is_closed = True

    async def _use(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Does something with the store in a worker thread."""

        def guarded() -> Result:
            with self._using:
                if self._is_closed:
                    raise StoreUnavailable("the tracker is being left: nothing more is delivered")
                return work(*arguments)

        return await asyncio.to_thread(guarded)

    def _begin(self) -> int:
        last, name = self._store.last_position(), self._handlers.name
        found = self._checkpoints.begin(name, last if self._handlers.since == "now" else 0)
        if found > last:
            logger.warning(
                "the handlers %r are at position %d, and the last event is at %d: what comes up to "
                "there is not delivered; was the database put back from a copy?",
                name,
                found,
                last,
                extra=of_handlers(name),
            )
        return found

    def _place(self, known: int) -> int:
        """Where the checkpoint is, or where it is known to have been if somebody removed it."""
        found = self._checkpoints.read(self._handlers.name)
        return self._checkpoints.begin(self._handlers.name, known) if found is None else found

    async def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                if self._lease.held and self._is_up_to_date:
                    await self._deliver_page()
                else:
                    await self._catch_up()
                failures = 0
            except Exception as error:
                failures += 1
                self._progress = replace(self._progress, attempts=failures, error=error)
                name = self._handlers.name
                logger.warning(
                    "the handlers %r cannot go on: %s", name, error, extra=of_handlers(name)
                )
                await _until(self._stopping, retry_pause(failures, self._jitter()))

    async def _catch_up(self) -> None:
        """Goes to where the checkpoint is, and waits while it is another's to move it."""
        self._is_up_to_date = self._lease.held
        self._saved = await self._use(self._place, self._saved)
        self._progress = DeliveryProgress(self._handlers.name, self._saved, here=self._lease.held)
        if not self._is_up_to_date:
            await _until(self._woken, LOOK_SECONDS)

    async def _deliver_page(self) -> None:
        """Delivers what there is, or waits for it for a while."""
        page = await self._use(self._store.read_all, self._progress.position, PAGE)
        if self._progress.error is not None:
            self._progress = replace(self._progress, attempts=0, error=None)
        for recorded in page:
            if self._stopping.is_set() or self._is_overtaken():
                break
            wanting = self._handlers.wanting(recorded.event)
            if wanting and not isinstance(recorded.event, ConfigurationRecorded):
                if not await self._deliver(recorded, wanting):
                    break
                self._progress = replace(self._progress, position=recorded.position)
                if not await self._save():
                    return
            else:
                self._progress = replace(self._progress, position=recorded.position)
        # What nobody wanted costs no write of its own while more is coming.
        done = self._progress.position
        if done >= self._saved + PAGE or self._stopping.is_set() or not page:
            await self._save()
        if not page:
            await _until(self._woken, LOOK_SECONDS)

    async def _save(self) -> bool:
        """Moves the checkpoint on; False where another process was there first."""
        position = self._progress.position
        if position <= self._saved:
            return True
        name = self._handlers.name
        if await self._use(self._checkpoints.advance, name, self._saved, position):
            self._saved = position
            return True
        self._saved = await self._use(self._place, position)
        self._progress = replace(self._progress, position=max(position, self._saved))
        return self._saved <= position

    async def _deliver(self, recorded: RecordedEvent, handlers: list[Handler]) -> bool:
        """Calls each handler until it does not raise; False where it is to stop before that."""
        state = await asyncio.to_thread(self._state_of, recorded.stream)
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
            while (error := await self._caller.attempt(handler, delivery)) is not None:
                attempts += 1
                self._progress = replace(
                    self._progress, failing=delivery, attempts=attempts, error=error
                )
                pause = retry_pause(attempts, self._jitter())
                logger.warning(
                    "%s: the handler %r raised at position %d, is called again in %.1f s",
                    recorded.stream,
                    self._handlers.name,
                    recorded.position,
                    pause,
                    exc_info=error,
                    extra=of_run(recorded.stream) | of_handlers(self._handlers.name),
                )
                await _until(self._stopping, pause)
                if self._stopping.is_set() or self._is_overtaken():
                    return False
            self._progress = replace(self._progress, failing=None, attempts=0, error=None)
        return True

    def _is_overtaken(self) -> bool:
        """Whether it is another's turn, which then may have moved the checkpoint on."""
        if not self._lease.held:
            self._is_up_to_date = False
        return not self._lease.held


async def _until(event: asyncio.Event, seconds: float) -> None:
    """Returns once `event` is set, or after so many seconds."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
