"""The event store in one SQLite file: full durability, and positions that are never reused."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eventsourcing.persistence import (
    IntegrityError,
    Notification,
    PersistenceError,
    StoredEvent,
)
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from tracker.errors import SettingsError, StoreUnavailable
from tracker.event_store.database_file import create_private
from tracker.event_store.recorder import (
    CREATE_ANOMALY_INDEX,
    EVENTS_TABLE,
    NewRow,
    Row,
    to_new_row,
    to_notifications,
)
from tracker.event_store.recorder_store import RecorderEventStore
from tracker.event_store.side_tables import list_side_tables
from tracker.event_store.sqlite_pool import LOCK_TIMEOUT_SECONDS, DurableConnectionPool
from tracker.event_store.store import EventStore

logger = logging.getLogger("runfold.event_store")

# SQLite notifies nobody of a commit. A query takes 15 µs: this is 0.03 % of a core while waiting.
_QUERY_SECONDS = 0.05
_TRUNCATE_MILLISECONDS = 2000

_INSERT = (
    f"INSERT INTO {EVENTS_TABLE} (originator_id, originator_version, topic, state) "
    "VALUES (?, ?, ?, ?)"
)
# Searches the newest rows. The transaction holds the write lock, so all of them are its own.
_FIND_GAP = (
    f"SELECT 1 FROM {EVENTS_TABLE} AS added "
    f"WHERE position > (SELECT max(position) FROM {EVENTS_TABLE}) - ? "
    f"AND originator_version > 1 AND NOT EXISTS (SELECT 1 FROM {EVENTS_TABLE} WHERE "
    "originator_id = added.originator_id AND originator_version = added.originator_version - 1) "
    "LIMIT 1"
)


class SQLiteRecorder(SQLiteApplicationRecorder):
    """The library's recorder on a table of our own, whose positions are never reused."""

    placeholder = "?"

    def __init__(self, datastore: SQLiteDatastore, pool: DurableConnectionPool) -> None:
        super().__init__(datastore, events_table_name=EVENTS_TABLE)
        self._pool = pool

    def construct_create_table_statements(self) -> list[str]:
        return [
            f"CREATE TABLE IF NOT EXISTS {EVENTS_TABLE} ("
            "position INTEGER PRIMARY KEY AUTOINCREMENT, "
            "originator_id TEXT NOT NULL, "
            "originator_version INTEGER NOT NULL, "
            "topic TEXT NOT NULL, "
            "state BLOB NOT NULL, "
            "UNIQUE (originator_id, originator_version))",
            CREATE_ANOMALY_INDEX,
            *list_side_tables("text").values(),
        ]

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        self.insert_rows([to_new_row(stored) for stored in stored_events])
        return None

    def insert_rows(self, rows: Sequence[NewRow]) -> None:
        with self.datastore.transaction(commit=True) as c:
            # The key rejects a version that exists. The search for a gap comes second: a
            # transaction that reads before it writes fails if another writer comes between.
            c.executemany(_INSERT, rows)
            c.execute(_FIND_GAP, (len(rows),))
            if c.fetchone() is not None:
                raise IntegrityError("a stream is behind its expected version")
        # Before the events count as recorded: the file may have gone since the check before.
        self._pool.check_file()

    def select_rows(self, after: int, limit: int) -> Sequence[Row]:
        return self._rows("position > ? ORDER BY position LIMIT ?", (after, limit))

    def select_stream(self, stream: str, after: int) -> Sequence[Row]:
        return self._rows(
            "originator_id = ? AND originator_version > ? ORDER BY originator_version",
            (stream, after),
        )

    def select_streams(self, streams: Sequence[str]) -> Sequence[Row]:
        return self._rows(
            "originator_id IN (SELECT value FROM json_each(?)) "
            "ORDER BY originator_id, originator_version",
            (json.dumps(list(streams)),),
        )

    def _rows(self, condition: str, parameters: tuple[object, ...]) -> Sequence[Row]:
        with self.datastore.transaction(commit=False) as c:
            c.sqlite_cursor.row_factory = None
            c.execute(
                "SELECT position, originator_id, originator_version, topic, state "
                f"FROM {EVENTS_TABLE} WHERE {condition}",
                parameters,
            )
            rows: list[Row] = c.fetchall()
            return rows

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        after = (start or 0) - (1 if start and inclusive_of_start else 0)
        return to_notifications(self.select_rows(after, limit), stop, topics)

    def max_notification_id(self) -> int:
        # Not the position of the newest row, which may be deleted. A rollback undoes the counter.
        with self.datastore.transaction(commit=False) as c:
            c.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (EVENTS_TABLE,))
            found = c.fetchone()
            return found[0] if found else 0

    def delete_streams(self, streams: Sequence[str]) -> int:
        with self.datastore.get_connection(commit=True) as connection:
            connection.cursor().execute("PRAGMA secure_delete = ON")
            with connection.transaction(commit=True) as c:
                c.execute(
                    f"DELETE FROM {EVENTS_TABLE} "
                    "WHERE originator_id IN (SELECT value FROM json_each(?))",
                    (json.dumps(list(streams)),),
                )
                deleted: int = c.sqlite_cursor.rowcount
            # The write-ahead log still has the rows as they were inserted. Writers wait for this.
            c = connection.cursor()
            c.execute(f"PRAGMA busy_timeout = {_TRUNCATE_MILLISECONDS}")
            try:
                c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                if c.fetchone()[0]:
                    logger.warning(
                        "the database is being read: bytes of forgotten events stay in its -wal "
                        "file until the next call, or until the last connection is closed"
                    )
            finally:
                c.execute(f"PRAGMA busy_timeout = {LOCK_TIMEOUT_SECONDS * 1000}")
        return deleted

    def wait(self, after: int, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while not self._rows("position > ? LIMIT 1", (after,)):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return False
            time.sleep(min(remaining, _QUERY_SECONDS))
        return True

    def close(self) -> None:
        self.datastore.close()


def open_sqlite(url: str, *, create: bool = True) -> EventStore:
    """Opens the event store in the SQLite file of a URL; see `open_event_store`."""
    path = sqlite_path(url)
    try:
        is_there = path.exists()
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be used as a database: {error}") from error
    if not is_there:
        if not create:
            raise StoreUnavailable(
                f"no database at {path}: check the path, or import or watch first"
            )
        if not path.parent.is_dir():
            raise StoreUnavailable(f"no folder {path.parent} to create the database {path.name} in")
        create_private(path)
    # Absolute: the process may change its folder before the next connection.
    name = str(path.absolute())
    datastore = SQLiteDatastore(name, lock_timeout=LOCK_TIMEOUT_SECONDS, originator_id_type="text")
    datastore.pool.close()
    pool = datastore.pool = DurableConnectionPool(db_name=name)
    recorder = SQLiteRecorder(datastore, pool)
    try:
        recorder.create_table()
        pool.remember_file()
    except (PersistenceError, sqlite3.Error) as error:
        recorder.close()
        raise StoreUnavailable(f"{path} cannot be used as a database: {error}") from error
    return RecorderEventStore(recorder, Path(name))


def sqlite_path(url: str) -> Path:
    """Returns the file of a `sqlite:///…` URL. Raises SettingsError if it names none."""
    prefix, separator, path = url.partition(":///")
    if (
        not separator
        or not path.strip()
        or path == ":memory:"
        or prefix.partition("+")[0] != "sqlite"
    ):
        raise SettingsError(
            f"{url!r} names no file: use sqlite:///relative.db, sqlite:////absolute.db, "
            "or memory:// for a store that is lost at the end"
        )
    return Path(path.partition("?")[0])
