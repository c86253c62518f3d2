"""Connections to an SQLite file, in WAL mode with full durability."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from eventsourcing.persistence import ConnectionPoolClosedError, InterfaceError
from eventsourcing.sqlite import SQLiteConnection, SQLiteConnectionPool

from tracker.errors import StoreUnavailable
from tracker.event_store.database_file import identify

LOCK_TIMEOUT_SECONDS = 30


class DurableConnectionPool(SQLiteConnectionPool):
    """Connections whose commits reach the disk before they return, and that wait for a lock.

    None is given out once the file was removed or replaced: it would write where nobody reads.
    """

    # Of the file that was opened; None until then.
    _identity: tuple[int, int] | None = None

    def remember_file(self) -> None:
        """Takes the file that is open now for the one to be used."""
        self._identity = identify(Path(self.db_name))

    def check_file(self) -> None:
        """Raises StoreUnavailable if the file was removed or replaced."""
        if self._identity is not None and identify(Path(self.db_name)) != self._identity:
            raise StoreUnavailable(
                f"the database {self.db_name} was removed or replaced while it was in use: "
                "nothing more is recorded; put the file back, or start the process again"
            )

    def get_connection(
        self, timeout: float | None = None, *, is_writer: bool | None = None
    ) -> SQLiteConnection:
        """Returns a connection. Raises StoreUnavailable if the file was removed or replaced."""
        self.check_file()
        return super().get_connection(timeout, is_writer=is_writer)

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
