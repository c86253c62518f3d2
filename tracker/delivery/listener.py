"""A task that notices events of other processes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from tracker.errors import StoreError
from tracker.event_store import EventStore
from tracker.runtime.waiting import wait_until_set
from tracker.runtime.worker_threads import ExitSafeExecutor

logger = logging.getLogger("runfold.delivery")

# A tracker that is left waits at most this long for the thread.
_WAIT_SECONDS = 0.25
_RETRY_SECONDS = 1.0


class StoreListener:
    """Calls `on_events` when events are appended to a store, by any process, until it is stopped.

    It only makes deliveries prompt: subscriptions also check for events by themselves. It has a
    thread of its own because it waits all the time, and the worker threads are few.
    """

    def __init__(self, store: EventStore, on_events: Callable[[], None]) -> None:
        self._store = store
        self._on_events = on_events
        self._stopping = asyncio.Event()
        self._thread = ExitSafeExecutor(1, thread_name_prefix="runfold-events")
        self._task: asyncio.Task[None] | None = None
        # The last position that was seen; None before the first.
        self._position: int | None = None

    def start(self) -> None:
        """Starts to listen; needs a running event loop."""
        self._task = asyncio.create_task(self._listen())

    def stop(self) -> None:
        """Makes the task end; does not wait for that."""
        self._stopping.set()

    async def join(self) -> None:
        """Waits for task and thread to end, a quarter of a second after `stop` at the latest."""
        if self._task is not None:
            await self._task
        # It is idle by now.
        self._thread.shutdown()

    async def _listen(self) -> None:
        loop, has_failed = asyncio.get_running_loop(), False
        while not self._stopping.is_set():
            try:
                if await loop.run_in_executor(self._thread, self._wait):
                    self._on_events()
                has_failed = False
            except StoreError as error:
                if not has_failed:
                    logger.warning("events of other processes may be delivered late: %s", error)
                has_failed = True
                await wait_until_set(self._stopping, _RETRY_SECONDS)

    def _wait(self) -> bool:
        """Returns True if there are new events, False if there were none for a while."""
        if self._position is not None and not self._store.wait(self._position, _WAIT_SECONDS):
            return False
        self._position = self._store.last_position()
        return True
