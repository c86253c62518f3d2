"""The runs that have not ended, beside the events, with the position up to which they are known.

A start reads this one row, the events after its position, and the histories of the runs that it
names. Nobody has to keep it up to date: `advance` makes it from the row before it and the events
since, or from all events without one. It is a hint about what to read, and never the truth: the
histories are, and a run that was forgotten has none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from tracker.core.events import RUN_ENDS, RunCreated, RunEnded, RunStepRecorded
from tracker.errors import UnreadableEvent
from tracker.event_store.codec import decode
from tracker.event_store.recorder import EVENTS_TABLE

OPEN_RUNS = "runfold_open_runs"
CREATE_OPEN_RUNS = (
    f"CREATE TABLE IF NOT EXISTS {OPEN_RUNS} (one integer PRIMARY KEY CHECK (one = 1), "
    "version bigint NOT NULL, position bigint NOT NULL, runs text NOT NULL)"
)
# Positions that one query reads.
_POSITIONS_PER_QUERY = 50_000
# It is written after so many events, or a quarter of the runs in it, whichever is more.
_EVENTS_PER_WRITE = 500
_MAX_CONFLICTS = 5


def _topics(kind: type[Any]) -> set[str]:
    return {f"{kind.topic}/{version}" for version in range(1, kind.topic_version + 1)}


_CREATED, _STEPS = _topics(RunCreated), _topics(RunStepRecorded)
_ENDS = set[str]().union(*(_topics(kind) for kind in RUN_ENDS.values()))


def _listed(topics: Iterable[str]) -> str:
    return ", ".join(f"'{topic}'" for topic in sorted(topics))


# Only the ends are decoded, for their time.
READ_CHANGES = (
    f"SELECT position, originator_id, topic, CASE WHEN topic IN ({_listed(_ENDS)}) THEN state END "
    f"AS state FROM {EVENTS_TABLE} WHERE position > ? AND position <= ? "
    f"AND topic IN ({_listed(_CREATED | _STEPS | _ENDS)}) ORDER BY position"
)


class OpenRuns:
    """The streams of open runs, and of runs that ended without a step recorded since.

    The latter have the time of their end; those before the `since` of `advance` are left out.
    """

    def __init__(self) -> None:
        self.position = 0
        # Of the row; 0 without one.
        self.version = 0
        self.open: dict[str, None] = {}
        self.ended: dict[str, datetime] = {}

    def __len__(self) -> int:
        return len(self.open) + len(self.ended)

    def apply(self, stream: str, topic: str, state: bytes | None) -> None:
        """Applies one more event, of which an end has its stored `state`."""
        if topic in _CREATED:
            # A history starts again where it was forgotten.
            self.ended.pop(stream, None)
            self.open[stream] = None
        elif topic in _STEPS:
            self.ended.pop(stream, None)
        elif stream in self.open and (ended_at := _end_of(topic, state)) is not None:
            del self.open[stream]
            self.ended[stream] = ended_at

    def remove(self, streams: Iterable[str]) -> bool:
        """Removes runs that were forgotten. Returns False if none of them was known."""
        before = len(self)
        for stream in streams:
            self.open.pop(stream, None)
            self.ended.pop(stream, None)
        return len(self) < before

    def drop_before(self, since: datetime) -> None:
        """Removes the runs that ended before a time."""
        self.ended = {stream: at for stream, at in self.ended.items() if at >= since}

    def to_text(self) -> str:
        """Returns the runs as the text of the row."""
        ended = {stream: at.isoformat() for stream, at in self.ended.items()}
        return json.dumps({"open": list(self.open), "ended": ended}, separators=(",", ":"))

    @classmethod
    def of_row(cls, version: int, position: int, text: str) -> OpenRuns:
        """Returns the runs of a row. Raises ValueError for a text of another make."""
        found, read = cls(), json.loads(text)
        try:
            found.open = dict.fromkeys(read["open"])
            found.ended = {key: datetime.fromisoformat(at) for key, at in read["ended"].items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it has no {error}") from None
        found.version, found.position = version, position
        return found


def _end_of(topic: str, state: bytes | None) -> datetime | None:
    """Returns the time of an end; None if it cannot be read, so that the run counts as open."""
    try:
        event = decode(topic, state or b"")
    except UnreadableEvent:
        return None
    if not isinstance(event, RunEnded):
        return None
    return event.occurred_at or event.observed_at


class TableStore(Protocol):
    """An event store with tables beside its events."""

    @property
    def placeholder(self) -> str: ...

    def transaction(self, *, commit: bool) -> AbstractContextManager[Any]: ...

    def last_position(self) -> int: ...


class OpenRunsTable:
    """The row of open runs in the database of the events. Synchronous and safe for threads.

    Each call raises StoreUnavailable if the database fails.
    """

    def __init__(self, store: TableStore) -> None:
        self._store = store
        self._sign = store.placeholder

    def advance(self, since: datetime, *, always: bool = False) -> OpenRuns:
        """Returns the runs up to the last event, and writes them if that saves others much.

        Runs that ended before `since` are left out. With `always`, they are written if there was
        any event.
        """
        last = self._store.last_position()
        runs = self._read()
        if runs is None or runs.position > last:
            # None, or that of another database.
            version = 0 if runs is None else runs.version
            runs = OpenRuns()
            runs.version = version
        added = last - runs.position
        self._read_on(runs, last)
        runs.drop_before(since)
        if added and (always or added >= max(_EVENTS_PER_WRITE, len(runs) // 4)):
            self._write(runs)
        return runs

    def forget(self, streams: Sequence[str]) -> None:
        """Removes runs that were forgotten."""
        for _ in range(_MAX_CONFLICTS):
            runs = self._read()
            if runs is None or not runs.remove(streams) or self._write(runs):
                return

    def _read_on(self, runs: OpenRuns, last: int) -> None:
        while runs.position < last:
            end = min(runs.position + _POSITIONS_PER_QUERY, last)
            for row in self._fetch(READ_CHANGES, (runs.position, end)):
                state = row["state"]
                runs.apply(row["originator_id"], row["topic"], state and bytes(state))
            runs.position = end

    def _read(self) -> OpenRuns | None:
        for row in self._fetch(f"SELECT version, position, runs FROM {OPEN_RUNS}", ()):
            try:
                return OpenRuns.of_row(row["version"], row["position"], row["runs"])
            except ValueError:
                # Of another release: made from all events.
                broken = OpenRuns()
                broken.version = row["version"]
                return broken
        return None

    def _write(self, runs: OpenRuns) -> bool:
        """Writes the row in place of the one that it was made from. False if there is another."""
        values = (runs.version + 1, runs.position, runs.to_text())
        if runs.version:
            statement = (
                f"UPDATE {OPEN_RUNS} SET version = ?, position = ?, runs = ? WHERE version = ? "
                "RETURNING version"
            )
            found = self._fetch(statement, (*values, runs.version), commit=True)
        else:
            statement = (
                f"INSERT INTO {OPEN_RUNS} (one, version, position, runs) VALUES (1, ?, ?, ?) "
                "ON CONFLICT DO NOTHING RETURNING version"
            )
            found = self._fetch(statement, values, commit=True)
        return bool(found)

    def _fetch(
        self, statement: str, parameters: tuple[object, ...], *, commit: bool = False
    ) -> list[Any]:
        with self._store.transaction(commit=commit) as cursor:
            cursor.execute(statement.replace("?", self._sign), parameters)
            rows: list[Any] = cursor.fetchall()
            return rows
