"""A lock that allows one tracker for each SQLite file, released when its process ends."""

from __future__ import annotations

import os
import socket
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from tracker.errors import AlreadyPolled, StoreUnavailable
from tracker.event_store.database_file import create_private

# Another tracker that only tries the lock holds it for a moment; one that polls keeps it.
_TIMEOUT_SECONDS = 0.5


class FileLock:
    """The exclusive right to poll for the events in an SQLite file, until `close`.

    The lock is one of SQLite's own, on a small file beside the database (`runs.db-tracker`),
    which stays: the operating system releases it when its process ends, however it does.

    Raises AlreadyPolled if another tracker holds it, in this process or in another, and
    StoreUnavailable if that file cannot be created or read.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        # A link has the lock of its file.
        file = Path(os.path.realpath(database))
        path = file.with_name(f"{file.name}-tracker")
        create_private(path)
        try:
            self._connection = sqlite3.connect(
                path, timeout=_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{path} cannot be created: {error}") from error
        try:
            self._acquire()
        except sqlite3.OperationalError as error:
            is_held = "locked" in str(error)
            holder = self._holder() if is_held else ""
            self._connection.close()
            if not is_held:
                raise StoreUnavailable(f"{path} cannot be used: {error}") from error
            raise AlreadyPolled(
                f"{database} is polled by another tracker{holder}: ask that one, or stop it; "
                "several at once need PostgreSQL (to watch one run beside it, say resume=False)"
            ) from None
        except sqlite3.Error as error:
            self._connection.close()
            raise StoreUnavailable(f"{path} cannot be used, delete it: {error}") from error

    def close(self) -> None:
        """Releases the lock."""
        self._connection.close()

    def _acquire(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("CREATE TABLE IF NOT EXISTS holder (pid, host, since)")
        self._connection.execute("DELETE FROM holder")
        since = datetime.now(UTC).isoformat(timespec="seconds")
        row = (os.getpid(), socket.gethostname(), since)
        self._connection.execute("INSERT INTO holder VALUES (?, ?, ?)", row)
        self._connection.execute("COMMIT")
        # Holds the lock: a transaction that never writes, so that others can read the holder.
        self._connection.execute("BEGIN IMMEDIATE")

    def _holder(self) -> str:
        try:
            found = self._connection.execute("SELECT pid, host, since FROM holder").fetchone()
        except sqlite3.Error:
            return ""
        return f" (process {found[0]} on {found[1]}, since {found[2]})" if found else ""
