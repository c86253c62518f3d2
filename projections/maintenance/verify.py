"""Verification: compares the tables row by row with a replay of the events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, String, Table, select

from projections.database.engine import read_snapshot
from projections.database.schema import checkpoints
from projections.projectors.costs import CostsProjection
from projections.projectors.projection import Projection
from projections.runner.catch_up import Progress
from projections.runner.checkpoint import read_checkpoint, read_pruned_before
from projections.runner.replay import replay_temporarily
from tracker.errors import ViewsError
from tracker.event_store.store import EventStore

_SETTINGS = checkpoints.c.settings.name
_ROWS_PER_FETCH = 2000
# Enough to recognise the cause.
MAX_DIFFERENCES = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between the tables and the events."""

    table: str
    # The values of the primary key.
    key: tuple[object, ...]
    # None if the whole row is missing or unexpected.
    column: str | None
    # The value in the table, or the row; None for a missing row.
    found: object
    # The value by the events, or the row; None for an unexpected row.
    expected: object


def verify(
    engine: Engine,
    store: EventStore,
    projections: Sequence[Projection],
    progress: Progress | None = None,
) -> list[Difference]:
    """Returns the differences between the tables and a replay of the events, at most 100.

    The tables are compared at the position of their checkpoint, in one snapshot; other processes
    may write meanwhile. The later events of runs that are set aside are left out. Costs of another
    version of the price list are copied from the rows of their runs, and only their sums are
    verified. Costs with other settings of the prices are one difference, of the table
    `checkpoints`. Raises ViewsError where the projections are at different positions.
    """
    with engine.connect() as connected, read_snapshot(connected) as live:
        known = {it.name: read_checkpoint(live, it.name) for it in projections}
        differences = [
            Difference(checkpoints.name, (it.name,), _SETTINGS, kept.settings, it.settings)
            for it in projections
            if (kept := known[it.name]) is not None and kept.settings != it.settings
        ]
        others = {it.key[0] for it in differences}
        projections = [it for it in projections if it.name not in others]
        found = [known[it.name] for it in projections]
        positions = {it.position if it else 0 for it in found}
        position = max(positions)
        # Positions also differ where the last events were forgotten.
        if len(positions) > 1 and _has_events(store, min(positions), position):
            raise ViewsError("the projections are at different positions: catch up, then verify")
        replayed = [_with_reference(it, live) for it in projections]
        pruned_before = read_pruned_before(live)
        with (
            replay_temporarily(store, position, replayed, progress, pruned_before, live) as replay,
            replay.connect() as expected,
        ):
            for table in (table for it in projections for table in it.tables):
                differences += _compare(table, live, expected)
                if len(differences) >= MAX_DIFFERENCES:
                    break
    return differences[:MAX_DIFFERENCES]


def _with_reference(projection: Projection, live: Connection) -> Projection:
    if isinstance(projection, CostsProjection):
        return CostsProjection(projection.prices, reference=live)
    return projection


def _has_events(store: EventStore, after: int, until: int) -> bool:
    page = store.read_all(after, 1)
    return bool(page) and page[0].position <= until


def _compare(table: Table, live: Connection, replay: Connection) -> Iterator[Difference]:
    found_rows, expected_rows = _read_rows(table, live), _read_rows(table, replay)
    keys = len(table.primary_key)
    names = table.columns.keys()
    found, expected = next(found_rows, None), next(expected_rows, None)
    while found is not None or expected is not None:
        if expected is None or (found is not None and found[:keys] < expected[:keys]):
            assert found is not None
            yield Difference(table.name, found[:keys], None, found, None)
            found = next(found_rows, None)
        elif found is None or expected[:keys] < found[:keys]:
            yield Difference(table.name, expected[:keys], None, None, expected)
            expected = next(expected_rows, None)
        else:
            for name, is_, should_be in zip(names, found, expected, strict=True):
                if is_ != should_be:
                    yield Difference(table.name, found[:keys], name, is_, should_be)
            found, expected = next(found_rows, None), next(expected_rows, None)


def _read_rows(table: Table, connection: Connection) -> Iterator[tuple[Any, ...]]:
    """Yields the rows in the order of their keys, which both databases sort as Python does."""
    is_binary = connection.dialect.name == "sqlite"
    order = [
        column if is_binary or not isinstance(column.type, String) else column.collate("C")
        for column in table.primary_key
    ]
    result = connection.execution_options(stream_results=True).execute(
        select(table).order_by(*order)
    )
    for rows in result.partitions(_ROWS_PER_FETCH):
        yield from map(tuple, rows)
