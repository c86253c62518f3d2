"""Waiting for events in PostgreSQL: LISTEN is only a hint, a query decides."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock
from typing import Any

import psycopg
from eventsourcing.persistence import PersistenceError

# A notification may never come: a proxy that pools transactions drops it, and other software that
# writes to the table sends none.
_FALLBACK_SECONDS = 1.0


class PostgresListener:
    """Connections that listen to a table's channel, one for each thread that waits.

    A connection is kept for the next wait, and does not listen until then: notifications that
    nobody reads would fill the server's queue. `has_rows_after` checks for events without such a
    connection, if there is none or the server allows no LISTEN, as a standby does.
    """

    def __init__(
        self, settings: dict[str, Any], table: str, has_rows_after: Callable[[int], bool]
    ) -> None:
        self._settings = settings
        self._table = table
        self._has_rows_after = has_rows_after
        self._idle: list[psycopg.Connection[Any]] = []
        self._lock = Lock()
        self._closed = Event()

    def wait(self, after: int, timeout: float) -> bool:
        """Returns True once there is an event after a position, False after `timeout` seconds.

        Raises PersistenceError if the database cannot be used at all, or this is closed.
        """
        deadline = time.monotonic() + timeout
        failures = 0
        while True:
            try:
                with self._borrow_connection() as connection:
                    return self._wait_on(connection, after, deadline)
            except psycopg.Error:
                failures += 1
                # The idle connections may be broken too: the next is a new one.
                self._close_idle()
            if failures > 1:
                if self._has_rows_after(after):
                    return True
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return False
                time.sleep(min(remaining, _FALLBACK_SECONDS))

    def close(self) -> None:
        """Closes the connections; waiting threads raise within a second."""
        self._closed.set()
        self._close_idle()

    def _wait_on(self, connection: psycopg.Connection[Any], after: int, deadline: float) -> bool:
        connection.execute(f"LISTEN {self._table}".encode())
        while True:
            # The query runs after LISTEN is in force: no event that is appended between is missed.
            found = connection.execute(
                f"SELECT EXISTS (SELECT FROM {self._table} WHERE position > %s)".encode(), (after,)
            ).fetchone()
            remaining = deadline - time.monotonic()
            if (found is not None and found[0]) or remaining <= 0:
                connection.execute(f"UNLISTEN {self._table}".encode())
                return bool(found and found[0])
            if self._closed.is_set():
                raise PersistenceError("it is closed")
            for _ in connection.notifies(timeout=min(remaining, _FALLBACK_SECONDS), stop_after=1):
                pass

    @contextmanager
    def _borrow_connection(self) -> Iterator[psycopg.Connection[Any]]:
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
            self._close_idle()

    def _close_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
