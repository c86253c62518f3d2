"""The tables made again from the events alone: to prove the ones in use, or to take their place.

The events are replayed into tables of their own, in a temporary file beside nobody's way, so
that readers and the live projections go on. What is in use is then compared row by row, or
replaced in one transaction: a kill before its commit changes nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import JSON, Connection, Engine, Table, Text, delete, select

from projections import migrations
from projections.checkpoint import Checkpoint, put, read
from projections.engine import open_engine
from projections.json_text import json_text
from projections.moments import micros_or_none
from projections.projection import Projection
from projections.schema import UtcDateTime
from projections.subscription import Progress, catch_up
from projections.upsert import upsert
from tracker.errors import ViewsError
from tracker.event_store.store import Append, EventStore, RecordedEvent

_ROWS = 2000
# Enough to see what kind of difference it is.
MOST_DIFFERENCES = 100


class Difference(NamedTuple):
    """A value that is not what the events say. `column` is None where the whole row is amiss."""

    table: str
    key: tuple[object, ...]
    column: str | None
    found: object
    expected: object


def rebuild(
    engine: Engine,
    store: EventStore,
    projections: Sequence[Projection],
    chosen: Sequence[Projection],
    progress: Progress | None = None,
) -> int:
    """Makes the tables of `chosen` again; returns the position that they then stand at.

    Readers see the old rows until all of the new ones are there. Raises ProjectionFailed where
    the events cannot be applied; then nothing has changed.
    """
    position = store.last_position()
    with (
        _replayed(store, position, projections, progress) as shadow,
        shadow.connect() as source,
        engine.begin() as target,
    ):
        for projection in chosen:
            put(target, projection.name, Checkpoint(position, projection.version))
        for table in (table for it in chosen for table in it.tables):
            target.execute(delete(table))
            for rows in source.execute(select(table)).partitions(_ROWS):
                upsert(target, table, [_values(table, row) for row in rows])
    return position


def verify(
    engine: Engine,
    store: EventStore,
    projections: Sequence[Projection],
    progress: Progress | None = None,
) -> list[Difference]:
    """What the tables have that the events do not say, and the reverse: at most 100 differences.

    The tables are compared as they stand at their checkpoint, in one snapshot, while others may
    go on writing. Raises ViewsError where the projections do not stand at one position.
    """
    with _snapshot(engine) as live:
        places = {read(live, it.name) for it in projections}
        place = places.pop()
        position = place.position if place else 0
        if any((other.position if other else 0) != position for other in places):
            raise ViewsError("the projections stand at different positions: catch up, then verify")
        differences: list[Difference] = []
        with _replayed(store, position, projections, progress) as shadow, shadow.connect() as true:
            for table in (table for it in projections for table in it.tables):
                differences += _compare(table, live, true)
                if len(differences) >= MOST_DIFFERENCES:
                    break
    return differences[:MOST_DIFFERENCES]


class _Until:
    """An event store as it stood at a position."""

    def __init__(self, store: EventStore, position: int) -> None:
        self._store, self._position = store, position

    def read_all(self, after: int = 0, limit: int = 1000) -> list[RecordedEvent]:
        page = self._store.read_all(after, limit)
        return [it for it in page if it.position <= self._position]

    def read(self, stream: str, after: int = 0) -> list[RecordedEvent]:
        return [it for it in self._store.read(stream, after) if it.position <= self._position]

    def read_many(self, streams: Sequence[str]) -> dict[str, list[RecordedEvent]]:
        found = self._store.read_many(streams)
        return {
            stream: [it for it in events if it.position <= self._position]
            for stream, events in found.items()
        }

    def last_position(self) -> int:
        return self._position

    def append(self, batch: Sequence[Append]) -> None:
        raise ViewsError("what is replayed is not written to")

    def close(self) -> None:
        """The store stays its owner's."""


@contextmanager
def _replayed(
    store: EventStore, position: int, projections: Sequence[Projection], progress: Progress | None
) -> Iterator[Engine]:
    """Tables made of the events up to a position, gone at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="runfold-") as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'replayed.db'}", create=True)
        try:
            migrations.upgrade(engine)
            catch_up(engine, _Until(store, position), projections, progress=progress)
            yield engine
        finally:
            engine.dispose()


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection that sees the database as it was at its first statement."""
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            # The driver begins no transaction for reading by itself.
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.exec_driver_sql("ROLLBACK")
        else:
            yield connection.execution_options(isolation_level="REPEATABLE READ")


def _compare(table: Table, live: Connection, true: Connection) -> Iterator[Difference]:
    found, expected = _rows(table, live), _rows(table, true)
    keys = len(table.primary_key)
    names = table.columns.keys()
    ours, theirs = next(found, None), next(expected, None)
    while ours is not None or theirs is not None:
        if theirs is None or (ours is not None and ours[:keys] < theirs[:keys]):
            assert ours is not None
            yield Difference(table.name, ours[:keys], None, ours, None)
            ours = next(found, None)
        elif ours is None or theirs[:keys] < ours[:keys]:
            yield Difference(table.name, theirs[:keys], None, None, theirs)
            theirs = next(expected, None)
        else:
            for name, is_, should_be in zip(names, ours, theirs, strict=True):
                if is_ != should_be:
                    yield Difference(table.name, ours[:keys], name, is_, should_be)
            ours, theirs = next(found, None), next(expected, None)


def _rows(table: Table, connection: Connection) -> Iterator[tuple[Any, ...]]:
    """The rows in the order of their keys, which is Python's on both databases."""
    is_binary = connection.dialect.name == "sqlite"
    order = [
        column if is_binary or not isinstance(column.type, Text) else column.collate("C")
        for column in table.primary_key
    ]
    result = connection.execution_options(stream_results=True).execute(
        select(table).order_by(*order)
    )
    for rows in result.partitions(_ROWS):
        yield from map(tuple, rows)


def _values(table: Table, row: Sequence[Any]) -> list[Any]:
    """A row as `upsert` takes it."""
    values = list(row)
    for index, column in enumerate(table.columns):
        if isinstance(column.type, UtcDateTime):
            values[index] = micros_or_none(values[index])
        elif isinstance(column.type, JSON):
            values[index] = json_text(values[index])
    return values
