"""The table `runfold_sources` beside the events: one row for each source and worker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tracker.event_store import EventStore
from tracker.event_store.recorder_store import RecorderEventStore
from tracker.event_store.side_tables import HEARTBEATS
from tracker.heartbeats.heartbeat import SILENT_SECONDS, Heartbeat

# The text of an error may be a whole page of a proxy.
_LONGEST_TEXT = 1000

# Those of a status; before them are the keys of a row and its age.
_COLUMNS = Heartbeat._fields[Heartbeat._fields.index("age_seconds") + 1 :]
_MOMENTS = ("written_at", "held_until", "refusing_since", "last_error_at", "answered_at")


class _Dialect(NamedTuple):
    """The SQL that differs between the databases. Without a type for times, they are UTC texts."""

    now: str
    age: str


_DIALECTS = {
    "?": _Dialect(
        "strftime('%Y-%m-%d %H:%M:%f+00:00', 'now')",
        "(julianday('now') - julianday(written_at)) * 86400.0",
    ),
    "%s": _Dialect(
        "clock_timestamp()",
        "extract(epoch FROM clock_timestamp() - written_at)::float8",
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

    def write(self, worker: str, rows: Mapping[str, Mapping[str, object]]) -> None:
        """Writes the rows of a worker, by source, and deletes those of silent workers."""
        names = ("source", "worker", "written_at", *_COLUMNS)
        now, sign = self._dialect.now, self._sign
        signs = ", ".join((sign, sign, now, *[sign] * len(_COLUMNS)))
        changes = ", ".join(f"{name} = excluded.{name}" for name in names[2:])
        upsert = (
            f"INSERT INTO {HEARTBEATS} ({', '.join(names)}) VALUES ({signs}) "
            f"ON CONFLICT (source, worker) DO UPDATE SET {changes}"
        )
        # This worker has taken over from one that is silent: the problem is solved.
        delete_silent = (
            f"DELETE FROM {HEARTBEATS} WHERE source = {sign} AND {self._dialect.age} > {sign}"
        )
        with self._store.transaction(commit=True) as cursor:
            for source, values in sorted(rows.items()):
                cursor.execute(delete_silent, (source, SILENT_SECONDS))
                row = [_to_column(values[name]) for name in _COLUMNS]
                cursor.execute(upsert, (source, worker, *row))

    def remove(self, worker: str) -> None:
        """Deletes the rows of a worker."""
        with self._store.transaction(commit=True) as cursor:
            cursor.execute(f"DELETE FROM {HEARTBEATS} WHERE worker = {self._sign}", (worker,))

    def remove_others(self, worker: str) -> None:
        """Deletes all rows but those of a worker."""
        with self._store.transaction(commit=True) as cursor:
            cursor.execute(f"DELETE FROM {HEARTBEATS} WHERE worker <> {self._sign}", (worker,))

    def read(self) -> list[Heartbeat]:
        """Returns all heartbeats by source and worker."""
        with self._store.transaction(commit=False) as cursor:
            cursor.execute(
                f"SELECT *, {self._dialect.age} AS age_seconds FROM {HEARTBEATS} "
                "ORDER BY source, worker"
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
    for name in _MOMENTS:
        moment = values[name]
        if moment is not None:
            moment = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
            values[name] = moment.astimezone(UTC)
    values["peculiarities"] = json.loads(values["peculiarities"])
    return Heartbeat(**values)
