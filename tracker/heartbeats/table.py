"""The table `runfold_sources` beside the events: a row a source and worker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tracker.event_store import EventStore
from tracker.event_store.recorder_store import RecorderEventStore
from tracker.heartbeats.heartbeat import SILENT_SECONDS, Heartbeat

TABLE = "runfold_sources"

# A page of a proxy may be the words of an error.
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
}


class _Dialect(NamedTuple):
    """What the two databases say differently; moments are texts in UTC where there is no type."""

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
        f"SELECT to_regclass('{TABLE}')::text AS found",
    ),
}


class HeartbeatTable:
    """The heartbeats in the events' own database. Synchronous and safe for threads.

    Each call raises StoreUnavailable where the database fails.
    """

    def __init__(self, store: RecorderEventStore) -> None:
        self._store = store
        self._sign = store.placeholder
        self._dialect = _DIALECTS[store.placeholder]

    def make(self) -> None:
        """Makes the table where it is missing."""
        columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
        with self._store.transaction(commit=True) as cursor:
            if self._sign == "%s":
                # Several processes that create one table at once fail in PostgreSQL's catalogue.
                cursor.execute(f"SELECT pg_advisory_xact_lock(hashtext('{TABLE}'))")
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {TABLE} (source text, worker text, "
                f"written_at {{moment}} NOT NULL, {columns}, PRIMARY KEY (source, worker))".format(
                    moment=self._dialect.moment
                )
            )

    def write(self, worker: str, standing: Mapping[str, Mapping[str, object]]) -> None:
        """Writes the rows of a worker, by source, and takes out those of the dead of a source."""
        names = ("source", "worker", "written_at", *_COLUMNS)
        now, sign = self._dialect.now, self._sign
        signs = ", ".join((sign, sign, now, *[sign] * len(_COLUMNS)))
        changes = ", ".join(f"{name} = excluded.{name}" for name in names[2:])
        upsert = (
            f"INSERT INTO {TABLE} ({', '.join(names)}) VALUES ({signs}) "
            f"ON CONFLICT (source, worker) DO UPDATE SET {changes}"
        )
        # Others take over from one that is silent: there is nothing the matter any more.
        bury = f"DELETE FROM {TABLE} WHERE source = {sign} AND {self._dialect.age} > {sign}"
        with self._store.transaction(commit=True) as cursor:
            for source, values in sorted(standing.items()):
                cursor.execute(bury, (source, SILENT_SECONDS))
                row = [_written(values[name]) for name in _COLUMNS]
                cursor.execute(upsert, (source, worker, *row))

    def remove(self, worker: str) -> None:
        """Takes out the rows of a worker."""
        with self._store.transaction(commit=True) as cursor:
            cursor.execute(f"DELETE FROM {TABLE} WHERE worker = {self._sign}", (worker,))

    def remove_others(self, worker: str) -> None:
        """Takes out all rows but those of a worker."""
        with self._store.transaction(commit=True) as cursor:
            cursor.execute(f"DELETE FROM {TABLE} WHERE worker <> {self._sign}", (worker,))

    def read(self) -> list[Heartbeat]:
        """All heartbeats by source and worker; none where no tracker ever made the table."""
        with self._store.transaction(commit=False) as cursor:
            cursor.execute(self._dialect.exists)
            row = cursor.fetchone()
            if row is None or row["found"] is None:
                return []
            cursor.execute(
                f"SELECT *, {self._dialect.age} AS age_seconds FROM {TABLE} ORDER BY source, worker"
            )
            return [_read(row) for row in cursor.fetchall()]


def table_in(store: EventStore) -> HeartbeatTable | None:
    """The heartbeats beside the events of a store; None for one that has no place for them."""
    if isinstance(store, RecorderEventStore) and store.placeholder:
        return HeartbeatTable(store)
    return None


def heartbeats_in(store: EventStore) -> list[Heartbeat]:
    """What trackers said last, by source and worker. Raises StoreUnavailable."""
    table = table_in(store)
    return [] if table is None else table.read()


def _written(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(" ", "milliseconds")
    if isinstance(value, Mapping):
        return json.dumps(value, sort_keys=True)
    if isinstance(value, str):
        # What no database takes is no reason to write nothing.
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
