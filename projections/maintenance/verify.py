"""The tables in use, proved: compared row by row with a replay of the events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Table, Text, select

from projections.database.engine import snapshot
from projections.projectors.costs import CostsProjection
from projections.projectors.projection import Projection
from projections.runner.catch_up import Progress
from projections.runner.checkpoint import pruned_before, read
from projections.runner.replay import replayed
from tracker.errors import ViewsError
from tracker.event_store.store import EventStore

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


def verify(
    engine: Engine,
    store: EventStore,
    projections: Sequence[Projection],
    progress: Progress | None = None,
) -> list[Difference]:
    """What the tables have that the events do not say, and the reverse: at most 100 differences.

    The tables are compared as they stand at their checkpoint, in one snapshot, while others may
    go on writing. Costs of another version of the prices than the one at hand are taken as the
    rows of their runs have them, and only the sums of these are proved. Raises ViewsError where
    the projections do not stand at one position.
    """
    with engine.connect() as connected, snapshot(connected) as live:
        places = [read(live, it.name) for it in projections]
        positions = {place.position if place else 0 for place in places}
        position = max(positions)
        # Between them there may be none: the last ones were forgotten.
        if len(positions) > 1 and _has_events(store, min(positions), position):
            raise ViewsError("the projections stand at different positions: catch up, then verify")
        differences: list[Difference] = []
        played = [_beside(it, live) for it in projections]
        replaying = replayed(store, position, played, progress, pruned_before(live))
        with replaying as shadow, shadow.connect() as true:
            for table in (table for it in projections for table in it.tables):
                differences += _compare(table, live, true)
                if len(differences) >= MOST_DIFFERENCES:
                    break
    return differences[:MOST_DIFFERENCES]


def _beside(projection: Projection, live: Connection) -> Projection:
    if isinstance(projection, CostsProjection):
        return CostsProjection(projection.prices, proven=live)
    return projection


def _has_events(store: EventStore, after: int, until: int) -> bool:
    page = store.read_all(after, 1)
    return bool(page) and page[0].position <= until


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
