"""Rebuild of tables from the events, beside the ones in use, which are then replaced.

The events are applied to shadow tables, batch by batch with checkpoints of their own, while readers
and the live projections continue. So a rebuild that was killed resumes, and several processes that
rebuild the same tables share the work. The swap is one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Engine

from projections.database.engine import translate_errors
from projections.database.migrations import begin_exclusive
from projections.projectors.costs import CostsProjection
from projections.projectors.projection import Projection
from projections.runner.catch_up import Progress, catch_up
from projections.runner.checkpoint import (
    Checkpoint,
    CheckpointGone,
    check_settings,
    lock_checkpoint,
    read_checkpoint,
    set_checkpoint,
    transfer_checkpoint,
)
from projections.runner.set_aside import delete_notes, transfer_notes
from projections.runner.shadow_tables import (
    ShadowProjection,
    create_shadows,
    shadow_of,
    swap_in,
)
from tracker.errors import PricesDiffer
from tracker.event_store.store import EventStore


def rebuild(
    engine: Engine,
    store: EventStore,
    chosen: Sequence[Projection],
    progress: Progress | None = None,
) -> int:
    """Rebuilds the tables of `chosen`. Returns a position that they have reached at least.

    Readers see the old rows until all new ones are written. Runs that are set aside are tried again
    from the whole history. Raises ProjectionFailed where the new tables cannot be written; then the
    tables in use are unchanged, and the next rebuild resumes after the last event that was applied.
    Raises SchemaError where a newer release has started a rebuild.
    """
    position = store.last_position()
    with translate_errors(engine):
        with begin_exclusive(engine) as connection:
            for projection in chosen:
                _prepare(connection, projection, position)
        remaining = [ShadowProjection(it) for it in chosen]
        while remaining:
            try:
                catch_up(engine, store, remaining, progress=progress)
            except CheckpointGone:
                with engine.connect() as connection:
                    remaining = [it for it in remaining if read_checkpoint(connection, it.name)]
                continue
            with engine.begin() as connection:
                remaining = [it for it in remaining if not _swap(connection, store, it, position)]
    return position


def find_outdated_projections(
    engine: Engine, projections: Sequence[Projection]
) -> list[Projection]:
    """Returns the projections whose tables were filled by an earlier version of them."""
    with translate_errors(engine), engine.connect() as connection:
        found = [read_checkpoint(connection, it.name) for it in projections]
    return [
        projection
        for projection, checkpoint in zip(projections, found, strict=True)
        if checkpoint is not None and checkpoint.version < projection.version
    ]


def split_by_settings(
    engine: Engine, projections: Sequence[Projection]
) -> tuple[list[Projection], PricesDiffer | None]:
    """Returns the projections that this process may write, and the reason to leave out others."""
    allowed, refusal = [], None
    with translate_errors(engine), engine.connect() as connection:
        for projection in projections:
            try:
                check_settings(projection, read_checkpoint(connection, projection.name))
            except PricesDiffer as error:
                refusal = error
            else:
                allowed.append(projection)
    return allowed, refusal


def _prepare(connection: Connection, projection: Projection, last: int) -> None:
    """Creates shadows, unless a rebuild by this version can be resumed."""
    name = ShadowProjection(projection).name
    begun, live = read_checkpoint(connection, name), read_checkpoint(connection, projection.name)
    # If the event store was restored or replaced, the shadows have rows of other events.
    is_restored = live is not None and live.position > last
    is_other = begun is None or begun.version < projection.version or begun.position > last
    is_other = is_other or (begun is not None and begun.settings != projection.settings)
    if is_other or is_restored or _has_other_prices(connection, projection):
        create_shadows(connection, projection.tables)
        delete_notes(connection, [name])
        fresh = Checkpoint(0, projection.version, settings=projection.settings)
        set_checkpoint(connection, name, fresh)


def _has_other_prices(connection: Connection, projection: Projection) -> bool:
    """True if a rebuild of costs was started with another version of the price list."""
    if not isinstance(projection, CostsProjection):
        return False
    return projection.has_other_versions(connection, shadow_of)


def _swap(connection: Connection, store: EventStore, shadow: ShadowProjection, target: int) -> bool:
    """Replaces the tables in use, and returns True; True also if another process did so.

    Returns False if the shadows lack events up to `target`: another process has replaced the
    tables since, and has begun the next rebuild.
    """
    checkpoint = lock_checkpoint(connection, shadow.name)
    if checkpoint is None:
        return True
    if checkpoint.position < target:
        following = store.read_all(checkpoint.position, 1)
        # The newest events may have been deleted.
        if following and following[0].position <= target:
            return False
    transfer_checkpoint(connection, shadow.name, shadow.projection.name)
    transfer_notes(connection, shadow.name, shadow.projection.name)
    for table in shadow.projection.tables:
        swap_in(connection, table)
    return True
