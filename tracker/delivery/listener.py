"""Tells of events that other processes append, from a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from tracker.errors import StoreError
from tracker.event_store import EventStore

logger = logging.getLogger("runfold.delivery")

# How long a tracker that is left may have to wait for the thread.
WAIT_SECONDS = 0.25
PAUSE_SECONDS = 1.0


class StoreListener:
    """Waits for events of a store, whoever appends them, while it is started; `tell` hears of each.

    It only makes deliveries prompt: who listens looks for events at times by itself. A thread of
    its own, because it blocks all the while, and the worker threads are few.
    """

    def __init__(self, store: EventStore, tell: Callable[[], None]) -> None:
        self._store = store
        self._tell = tell
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="runfold-events", daemon=True)

    def start(self) -> None:
        """Begins to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Has it end by itself; does not wait for that."""
        self._stopping.set()

    def join(self) -> None:
        """Returns once it has ended, a quarter of a second after `stop` at the latest."""
        self._thread.join()

    def _listen(self) -> None:
        position: int | None = None
        failed = False
        while not self._stopping.is_set():
            try:
                if position is None or self._store.wait(position, WAIT_SECONDS):
                    position = self._store.last_position()
                    self._tell()
                failed = False
            except StoreError as error:
                if not failed:
                    logger.warning("events of other processes may be delivered late: %s", error)
                failed = True
                self._stopping.wait(PAUSE_SECONDS)
