"""A thread that notices events of other processes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from tracker.errors import StoreError
from tracker.event_store import EventStore

logger = logging.getLogger("runfold.delivery")

# A tracker that is left waits at most this long for the thread.
_WAIT_SECONDS = 0.25
_RETRY_SECONDS = 1.0


class StoreListener:
    """Calls `on_events` when events are appended to a store, by any process, until it is stopped.

    It only makes deliveries prompt: subscriptions also check for events by themselves. It has a
    thread of its own because it blocks all the time, and the worker threads are few.
    """

    def __init__(self, store: EventStore, on_events: Callable[[], None]) -> None:
        self._store = store
        self._on_events = on_events
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="runfold-events", daemon=True)

    def start(self) -> None:
        """Starts to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Makes the thread end; does not wait for that."""
        self._stopping.set()

    def join(self) -> None:
        """Waits for the end of the thread, a quarter of a second after `stop` at the latest."""
        self._thread.join()

    def _listen(self) -> None:
        position: int | None = None
        has_failed = False
        while not self._stopping.is_set():
            try:
                if position is None or self._store.wait(position, _WAIT_SECONDS):
                    position = self._store.last_position()
                    self._on_events()
                has_failed = False
            except StoreError as error:
                if not has_failed:
                    logger.warning("events of other processes may be delivered late: %s", error)
                has_failed = True
                self._stopping.wait(_RETRY_SECONDS)
