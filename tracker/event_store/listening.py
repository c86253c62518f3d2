"""Waiting for events in PostgreSQL: LISTEN is the hint, a look at the positions is the truth."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock
from typing import Any

import psycopg
from eventsourcing.persistence import PersistenceError

# A notification may never come: through a proxy that pools transactions, or from a writer of
# another make.
LOOK_SECONDS = 1.0


class Listeners:
    """Connections that listen to a table's channel, one for each thread that waits.

    They are kept for the next to wait, and then do not listen: notifications that nobody takes
    in would fill the server's queue. `look` is the way to look without such a connection, where
    none can be had or the server lets nobody listen, as one that only follows another.
    """

    def __init__(self, settings: dict[str, Any], table: str, look: Callable[[int], bool]) -> None:
        self._settings = settings
        self._table = table
        self._look = look
        self._idle: list[psycopg.Connection[Any]] = []
        self._lock = Lock()
        self._closed = Event()

    def wait(self, after: int, timeout: float) -> bool:
        """Whether there is an event after a position, as soon as there is one or time is up.

        Raises PersistenceError where the database cannot be used at all, or is closed here.
        """
        deadline = time.monotonic() + timeout
        broken = 0
        while True:
            try:
                with self._lent() as connection:
                    return self._watch(connection, after, deadline)
            except psycopg.Error:
                broken += 1
                # What broke one may have broken all: the next is a fresh one.
                self._drop_idle()
            if broken > 1:
                if self._look(after):
                    return True
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                time.sleep(min(left, LOOK_SECONDS))

    def close(self) -> None:
        """Closes the connections; who waits is told within a second."""
        self._closed.set()
        self._drop_idle()

    def _watch(self, connection: psycopg.Connection[Any], after: int, deadline: float) -> bool:
        connection.execute(f"LISTEN {self._table}".encode())
        while True:
            # Looked at after LISTEN is in force: nothing appended between can be missed.
            found = connection.execute(
                f"SELECT EXISTS (SELECT FROM {self._table} WHERE position > %s)".encode(), (after,)
            ).fetchone()
            left = deadline - time.monotonic()
            if (found is not None and found[0]) or left <= 0:
                connection.execute(f"UNLISTEN {self._table}".encode())
                return bool(found and found[0])
            if self._closed.is_set():
                raise PersistenceError("it is closed")
            for _ in connection.notifies(timeout=min(left, LOOK_SECONDS), stop_after=1):
                pass

    @contextmanager
    def _lent(self) -> Iterator[psycopg.Connection[Any]]:
        with self._lock:
            if self._closed.is_set():
                raise PersistenceError("it is closed")
            connection = self._idle.pop() if self._idle else None
        connection = connection or psycopg.connect(**self._settings, autocommit=True)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._lock:
            self._idle.append(connection)
        if self._closed.is_set():
            self._drop_idle()

    def _drop_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
