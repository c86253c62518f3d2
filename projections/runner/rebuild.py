"""The tables made again from the events alone, beside the ones in use, then swapped in.

The events go into shadow tables, batch by batch under checkpoints of their own, while readers
and the live projections go on. So a rebuild that was killed goes on where it was, and several
processes that rebuild the same work together. The swap is one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Engine

from projections.database.engine import translated
from projections.database.migrations import locked
from projections.projectors.costs import CostsProjection
from projections.projectors.projection import Projection
from projections.runner import shadow_tables
from projections.runner.catch_up import Progress, catch_up
from projections.runner.checkpoint import (
    Checkpoint,
    CheckpointGone,
    put,
    read,
    take_over,
)
from projections.runner.shadow_tables import Shadowed
from tracker.event_store.store import EventStore


def rebuild(
    engine: Engine,
    store: EventStore,
    chosen: Sequence[Projection],
    progress: Progress | None = None,
) -> int:
    """Makes the tables of `chosen` again; returns the position that they then stand at least at.

    Readers see the old rows until all of the new ones are there. Raises ProjectionFailed where
    the events cannot be applied; then the tables in use have not changed, and the next rebuild
    goes on after the last event that could be. Raises SchemaError where a newer release has
    begun a rebuild of its own.
    """
    position = store.last_position()
    with translated(engine):
        with locked(engine) as connection:
            for projection in chosen:
                _prepare(connection, projection, position)
        remaining = [Shadowed(it) for it in chosen]
        while remaining:
            try:
                catch_up(engine, store, remaining, progress=progress)
            except CheckpointGone:
                with engine.connect() as connection:
                    remaining = [it for it in remaining if read(connection, it.name)]
                continue
            with engine.begin() as connection:
                for shadowed in remaining:
                    _swap(connection, shadowed)
            remaining = []
    return position


def find_outdated(engine: Engine, projections: Sequence[Projection]) -> list[Projection]:
    """Those whose tables an earlier version of them filled."""
    with translated(engine), engine.connect() as connection:
        places = [read(connection, it.name) for it in projections]
    return [
        projection
        for projection, place in zip(projections, places, strict=True)
        if place is not None and place.version < projection.version
    ]


def _prepare(connection: Connection, projection: Projection, last: int) -> None:
    """Makes shadows, unless there are some of this version that can be gone on with."""
    name = Shadowed(projection).name
    begun, live = read(connection, name), read(connection, projection.name)
    # Where the event store was restored or replaced, what was begun is of other events.
    is_restored = live is not None and live.position > last
    is_other = begun is None or begun.version < projection.version or begun.position > last
    if is_other or is_restored or _is_of_other_prices(connection, projection):
        shadow_tables.create(connection, projection.tables)
        put(connection, name, Checkpoint(0, projection.version))


def _is_of_other_prices(connection: Connection, projection: Projection) -> bool:
    """Whether a rebuild of costs was begun with another price list than it would end with."""
    if not isinstance(projection, CostsProjection):
        return False
    return projection.has_others(connection, shadow_tables.shadow_of)


def _swap(connection: Connection, shadowed: Shadowed) -> None:
    if take_over(connection, shadowed.name, shadowed.projection.name):
        for table in shadowed.projection.tables:
            shadow_tables.swap(connection, table)
