"""Connections to an SQLite file, in WAL mode with full durability."""

from __future__ import annotations

import sqlite3
import time

from eventsourcing.persistence import ConnectionPoolClosedError, InterfaceError
from eventsourcing.sqlite import SQLiteConnection, SQLiteConnectionPool

LOCK_TIMEOUT_SECONDS = 30


class DurableConnectionPool(SQLiteConnectionPool):
    """Connections whose commits reach the disk before they return, and that wait for a lock."""

    def _create_connection(self) -> SQLiteConnection:
        # The pool was closed since the connection was asked for: nobody would close it.
        if self._closed:
            raise ConnectionPoolClosedError
        # A new file cannot be switched to WAL while another process does so, and fails at once.
        deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
        while True:
            try:
                return SQLiteConnection(self._connect(), self.max_age)
            except sqlite3.Error as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise InterfaceError(str(error)) from error
                time.sleep(0.01)

    def _connect(self) -> sqlite3.Connection:
        # The library's own method leaks a connection that cannot be switched to WAL.
        connection = sqlite3.connect(
            self.db_name,
            uri=True,
            check_same_thread=False,
            isolation_level=None,
            timeout=self.lock_timeout or LOCK_TIMEOUT_SECONDS,
        )
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
        except BaseException:
            connection.close()
            raise
        connection.row_factory = sqlite3.Row
        return connection
