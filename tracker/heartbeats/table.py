"""The table `runfold_sources` beside the events: one row for each source and worker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tracker.event_store import EventStore
from tracker.event_store.recorder_store import RecorderEventStore
from tracker.heartbeats.heartbeat import SILENT_SECONDS, Heartbeat

TABLE = "runfold_sources"

# The text of an error may be a whole page of a proxy.
_LONGEST_TEXT = 1000

_COLUMNS = {
    "rate": "double precision NOT NULL",
    "breaker": "text NOT NULL",
    "held_until": "{moment}",
    "refusing": "text",
    "refusing_since": "{moment}",
    "denied": "text",
    "watched": "bigint NOT NULL",
    "due": "bigint NOT NULL",
    "waiting": "bigint NOT NULL",
    "asked": "bigint NOT NULL",
    "refused": "bigint NOT NULL",
    "failed": "bigint NOT NULL",
    "last_error": "text",
    "last_error_at": "{moment}",
    "answered_at": "{moment}",
    "detected": "bigint NOT NULL",
    "detection_seconds": "double precision",
    "clock_ahead": "double precision NOT NULL",
    "peculiarities": "text NOT NULL",
    "set_aside": "bigint NOT NULL",
    "given_up": "bigint NOT NULL",
    "clock_ahead_at_least": "double precision",
    "clock_ahead_at_most": "double precision",
}


class _Dialect(NamedTuple):
    """The SQL that differs between the databases. Without a type for times, they are UTC texts."""

    moment: str
    now: str
    age: str
    exists: str


_DIALECTS = {
    "?": _Dialect(
        "text",
        "strftime('%Y-%m-%d %H:%M:%f+00:00', 'now')",
        "(julianday('now') - julianday(written_at)) * 86400.0",
        f"SELECT name AS found FROM sqlite_master WHERE name = '{TABLE}'",
    ),
    "%s": _Dialect(
        "timestamptz",
        "clock_timestamp()",
        "extract(epoch FROM clock_timestamp() - written_at)::float8",
        f"SELECT tablename AS found FROM pg_tables WHERE tablename = '{TABLE}' "
        "AND schemaname = current_schema()",
    ),
}


class HeartbeatTable:
    """The heartbeats in the database of the events. Synchronous and safe for threads.

    Each call raises StoreUnavailable if the database fails.
    """

    def __init__(self, store: RecorderEventStore) -> None:
        self._store = store
        self._sign = store.placeholder
        self._dialect = _DIALECTS[store.placeholder]

    def create(self) -> None:
        """Creates the table if it is missing."""
        columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
        self._store.create_table(
            TABLE,
            f"CREATE TABLE IF NOT EXISTS {TABLE} (source text, worker text, "
            f"written_at {{moment}} NOT NULL, {columns}, PRIMARY KEY (source, worker))".format(
                moment=self._dialect.moment
            ),
        )

    def write(self, worker: str, rows: Mapping[str, Mapping[str, object]]) -> None:
        """Writes the rows of a worker, by source, and deletes those of silent workers."""
        names = ("source", "worker", "written_at", *_COLUMNS)
        now, sign = self._dialect.now, self._sign
        signs = ", ".join((sign, sign, now, *[sign] * len(_COLUMNS)))
        changes = ", ".join(f"{name} = excluded.{name}" for name in names[2:])
        upsert = (
            f"INSERT INTO {TABLE} ({', '.join(names)}) VALUES ({signs}) "
            f"ON CONFLICT (source, worker) DO UPDATE SET {changes}"
        )
        # This worker has taken over from one that is silent: the problem is solved.
        delete_silent = (
            f"DELETE FROM {TABLE} WHERE source = {sign} AND {self._dialect.age} > {sign}"
        )
        with self._store.transaction(commit=True) as cursor:
            for source, values in sorted(rows.items()):
                cursor.execute(delete_silent, (source, SILENT_SECONDS))
                row = [_to_column(values[name]) for name in _COLUMNS]
                cursor.execute(upsert, (source, worker, *row))

    def remove(self, worker: str) -> None:
        """Deletes the rows of a worker."""
        with self._store.transaction(commit=True) as cursor:
            cursor.execute(f"DELETE FROM {TABLE} WHERE worker = {self._sign}", (worker,))

    def remove_others(self, worker: str) -> None:
        """Deletes all rows but those of a worker."""
        with self._store.transaction(commit=True) as cursor:
            cursor.execute(f"DELETE FROM {TABLE} WHERE worker <> {self._sign}", (worker,))

    def read(self) -> list[Heartbeat]:
        """Returns all heartbeats by source and worker; none if the table does not exist."""
        with self._store.transaction(commit=False) as cursor:
            cursor.execute(self._dialect.exists)
            row = cursor.fetchone()
            if row is None or row["found"] is None:
                return []
            cursor.execute(
                f"SELECT *, {self._dialect.age} AS age_seconds FROM {TABLE} ORDER BY source, worker"
            )
            return [_read(row) for row in cursor.fetchall()]


def heartbeats_in(store: EventStore) -> list[Heartbeat]:
    """Returns the last reports of all trackers, by source and worker. Raises StoreUnavailable."""
    if isinstance(store, RecorderEventStore) and store.placeholder:
        return HeartbeatTable(store).read()
    return []


def _to_column(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(" ", "milliseconds")
    if isinstance(value, Mapping):
        return json.dumps(value, sort_keys=True)
    if isinstance(value, str):
        # A character that no database accepts must not keep the row from being written.
        return value[:_LONGEST_TEXT].encode("utf-8", "replace").decode().replace("\0", "?")
    return value


def _read(row: Any) -> Heartbeat:
    values = {name: row[name] for name in Heartbeat._fields}
    for name, kind in {**_COLUMNS, "written_at": "{moment}"}.items():
        if kind == "{moment}" and values[name] is not None:
            moment = values[name]
            moment = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
            values[name] = moment.astimezone(UTC)
    values["peculiarities"] = json.loads(values["peculiarities"])
    return Heartbeat(**values)
