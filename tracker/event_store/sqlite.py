"""The event store in one SQLite file: WAL, full durability, positions never given out twice."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eventsourcing.persistence import (
    IntegrityError,
    InterfaceError,
    Notification,
    PersistenceError,
    StoredEvent,
)
from eventsourcing.sqlite import (
    SQLiteApplicationRecorder,
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
)

from tracker.errors import SettingsError, StoreUnavailable
from tracker.event_store.recorded import RecordedEventStore, Row, notifications
from tracker.event_store.store import EventStore

TABLE = "runfold_events"
LOCK_TIMEOUT_SECONDS = 30


class DurableConnectionPool(SQLiteConnectionPool):
    """Connections that reach the disk before a commit returns, and wait their turn to open."""

    def _create_connection(self) -> SQLiteConnection:
        # Turning a new file to WAL is refused at once while another process does the same.
        deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
        while True:
            try:
                connection = super()._create_connection()
            except (sqlite3.OperationalError, PersistenceError) as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise InterfaceError(str(error)) from error
                time.sleep(0.01)
                continue
            connection.cursor().execute("PRAGMA synchronous=FULL")
            return connection


class SQLiteRecorder(SQLiteApplicationRecorder):
    """The library's recorder on a table of our own, whose positions are never reused."""

    def __init__(self, datastore: SQLiteDatastore) -> None:
        super().__init__(datastore, events_table_name=TABLE)
        # One statement refuses both a version that exists (by the key) and a gap (inserts none).
        self.insert_events_statement = (
            f"INSERT INTO {TABLE} (originator_id, originator_version, topic, state) "
            f"SELECT ?1, ?2, ?3, ?4 WHERE ?2 = 1 OR EXISTS (SELECT 1 FROM {TABLE} "
            "WHERE originator_id = ?1 AND originator_version = ?2 - 1)"
        )

    def construct_create_table_statements(self) -> list[str]:
        return [
            f"CREATE TABLE IF NOT EXISTS {TABLE} ("
            "position INTEGER PRIMARY KEY AUTOINCREMENT, "
            "originator_id TEXT NOT NULL, "
            "originator_version INTEGER NOT NULL, "
            "topic TEXT NOT NULL, "
            "state BLOB NOT NULL, "
            "UNIQUE (originator_id, originator_version))"
        ]

    def _insert_events(
        self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], **_: Any
    ) -> Sequence[int] | None:
        rows = [(s.originator_id, s.originator_version, s.topic, s.state) for s in stored_events]
        c.executemany(self.insert_events_statement, rows)
        if c.sqlite_cursor.rowcount != len(rows):
            raise IntegrityError("a stream is behind its expected version")
        return None

    def select_rows(self, after: int, limit: int) -> Sequence[Row]:
        return self._rows("position > ? ORDER BY position LIMIT ?", (after, limit))

    def select_stream(self, stream: str, after: int) -> Sequence[Row]:
        return self._rows(
            "originator_id = ? AND originator_version > ? ORDER BY originator_version",
            (stream, after),
        )

    def _rows(self, condition: str, parameters: tuple[object, ...]) -> Sequence[Row]:
        with self.datastore.transaction(commit=False) as c:
            c.sqlite_cursor.row_factory = None
            c.execute(
                "SELECT position, originator_id, originator_version, topic, state "
                f"FROM {TABLE} WHERE {condition}",
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
        return notifications(self.select_rows(after, limit), stop, topics)

    def close(self) -> None:
        self.datastore.close()


def open_sqlite(url: str, *, create: bool = True) -> EventStore:
    """The event store in the SQLite file of a URL; see `open_event_store`."""
    path = sqlite_path(url)
    if not path.exists():
        if not create:
            raise StoreUnavailable(
                f"no database at {path}: check the path, or import or watch first"
            )
        if not path.parent.is_dir():
            raise StoreUnavailable(f"no folder {path.parent} to make the database {path.name} in")
    datastore = SQLiteDatastore(
        str(path), lock_timeout=LOCK_TIMEOUT_SECONDS, originator_id_type="text"
    )
    datastore.pool.close()
    datastore.pool = DurableConnectionPool(db_name=str(path), lock_timeout=LOCK_TIMEOUT_SECONDS)
    recorder = SQLiteRecorder(datastore)
    try:
        recorder.create_table()
    except (PersistenceError, sqlite3.Error) as error:
        recorder.close()
        raise StoreUnavailable(f"{path} cannot be used as a database: {error}") from error
    return RecordedEventStore(recorder)


def sqlite_path(url: str) -> Path:
    """The file of a `sqlite:///…` URL. Raises SettingsError where it names none."""
    prefix, separator, path = url.partition(":///")
    if (
        not separator
        or not path.strip()
        or path == ":memory:"
        or prefix.partition("+")[0] != "sqlite"
    ):
        raise SettingsError(
            f"{url!r} names no file: use sqlite:///relative.db, sqlite:////absolute.db, "
            "or memory:// for a store that is gone at the end"
        )
    return Path(path.partition("?")[0])
