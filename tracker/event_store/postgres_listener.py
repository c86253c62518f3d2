"""Waiting for events in PostgreSQL: LISTEN is only a hint, a query decides.

Behind a pooler of connections there is no LISTEN: it would stay on the connection of another
client. There, and wherever else the server allows none, a query looks for events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock
from typing import Any

import psycopg
from eventsourcing.persistence import PersistenceError

from tracker.event_store.postgres_connections import BoundedConnection, Patience, connect

# A notification may never come: a proxy that pools transactions drops it, and other software that
# writes to the table sends none.
_FALLBACK_SECONDS = 1.0
# The interval of the queries without LISTEN.
_QUERY_SECONDS = 0.1
_CONNECT_SECONDS = 5


class PostgresListener:
    """Connections that listen to a table's channel, one for each thread that waits.

    A connection is kept for the next wait, and does not listen until then: notifications that
    nobody reads would fill the server's queue. `has_rows_after` checks for events without such a
    connection, if there is none or the server allows no LISTEN, as a standby does.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        table: str,
        has_rows_after: Callable[[int], bool],
        patience: Patience,
    ) -> None:
        self._settings = settings
        self._table = table
        self._has_rows_after = has_rows_after
        self._patience = patience
        # True once a pooler was found between us and the server.
        self._is_pooled = False
        self._idle: list[BoundedConnection] = []
        self._lock = Lock()
        self._closed = Event()

    def wait(self, after: int, timeout: float) -> bool:
        """Returns True once there is an event after a position, False after `timeout` seconds.

        Raises PersistenceError if the database cannot be used at all, or this is closed.
        """
        deadline = time.monotonic() + timeout
        failures = 0
        while True:
            if self._is_pooled:
                return self._query(after, deadline)
            try:
                with self._borrow_connection() as connection:
                    return self._wait_on(connection, after, deadline)
            except psycopg.Error:
                failures += 1
                # The idle connections may be broken too: the next is a new one.
                self._close_idle()
            if self._patience.is_hurried:
                return False
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

    def _query(self, after: int, deadline: float) -> bool:
        while not self._has_rows_after(after):
            remaining = deadline - time.monotonic()
            if remaining <= 0 or self._patience.is_hurried:
                return False
            if self._closed.wait(min(remaining, _QUERY_SECONDS)):
                raise PersistenceError("it is closed")
        return True

    def _wait_on(self, connection: BoundedConnection, after: int, deadline: float) -> bool:
        if self._is_pooled:
            return self._query(after, deadline)
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
    def _borrow_connection(self) -> Iterator[BoundedConnection]:
        with self._lock:
            if self._closed.is_set():
                raise PersistenceError("it is closed")
            connection = self._idle.pop() if self._idle else None
        connection = connection or self._connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._lock:
            self._idle.append(connection)
        if self._closed.is_set() or self._is_pooled:
            self._close_idle()

    def _connect(self) -> BoundedConnection:
        settings = {"autocommit": True, "connect_timeout": _CONNECT_SECONDS}
        connection = connect(self._settings, self._patience, **settings)
        try:
            found = connection.execute("SELECT pg_backend_pid()").fetchone()
        except BaseException:
            connection.close()
            raise
        # A pooler gives each client a number of its own, for the cancelling of statements.
        self._is_pooled = found != (connection.info.backend_pid,)
        return connection

    def _close_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
