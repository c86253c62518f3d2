"""Tables of the read side that follow the events while a tracker is open."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Protocol

from tracker.errors import RunfoldError

logger = logging.getLogger("runfold.projections")

_RETRY_SECONDS = 5.0


class Tables(Protocol):
    """Tables that are kept in step with the events, such as `projections.Views`."""

    def prepare(self, *, create: bool = False) -> None:
        """Creates the tables if there are none."""

    def follow(self, stop: threading.Event) -> None:
        """Applies new events until `stop` is set."""

    def catch_up(self) -> int:
        """Applies all new events."""


class TableFollowers:
    """The tables that follow a tracker, each in a thread of its own while it is open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tables: list[Tables] = []
        self._threads: list[threading.Thread] = []
        self._stop: threading.Event | None = None

    def add(self, tables: Tables) -> None:
        """Creates the tables if there are none, and follows with them once started."""
        tables.prepare(create=True)
        with self._lock:
            if all(it is not tables for it in self._tables):
                self._tables.append(tables)
                if self._stop is not None:
                    self._start_thread(tables, self._stop)

    def start(self) -> None:
        """Starts to follow with all tables."""
        with self._lock:
            self._stop = threading.Event()
            for tables in self._tables:
                self._start_thread(tables, self._stop)

    async def stop(self) -> None:
        """Stops, and then applies the last events."""
        with self._lock:
            stop, threads, tables = self._stop, self._threads, list(self._tables)
            self._stop, self._threads = None, []
        if stop is None:
            return
        stop.set()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        for it in tables:
            await asyncio.to_thread(_catch_up, it)

    def _start_thread(self, tables: Tables, stop: threading.Event) -> None:
        # A daemon: a program that ends without leaving the tracker does not wait for it.
        thread = threading.Thread(
            target=_follow, args=(tables, stop), name="runfold.projections", daemon=True
        )
        self._threads.append(thread)
        thread.start()


def _follow(tables: Tables, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            tables.follow(stop)
        except RunfoldError as error:
            logger.warning("cannot update the tables, retrying: %s", error)
            stop.wait(_RETRY_SECONDS)


def _catch_up(tables: Tables) -> None:
    try:
        tables.catch_up()
    except RunfoldError as error:
        logger.warning("the tables lack the last events, until they are caught up: %s", error)
