"""Rebuild of tables from the events, beside the ones in use, which are then replaced.

The events are applied to shadow tables, batch by batch with checkpoints of their own, while readers
and the live projections continue. So a rebuild that was killed resumes, and several processes that
rebuild the same tables share the work. The swap is one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sqlalchemy import Connection, Engine

from projections.database.conflicts import retry_conflicts
from projections.database.engine import translate_errors
from projections.database.migrations import begin_exclusive
from projections.projectors.costs import CostsProjection
from projections.projectors.projection import Projection
from projections.runner.catch_up import Progress, catch_up
from projections.runner.checkpoint import (
    Checkpoint,
    CheckpointGone,
    check_settings,
    lock_checkpoints,
    read_checkpoint,
    refuse_newer,
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
from tracker.errors import PricesDiffer, SchemaError
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
    Raises SchemaError where a newer release has filled the tables or has started a rebuild.
    """
    position = store.last_position()
    with translate_errors(engine):
        retry_conflicts(partial(_prepare_all, engine, chosen, position))
        remaining = [ShadowProjection(it) for it in chosen]
        while remaining:
            try:
                catch_up(engine, store, remaining, progress=progress)
            except CheckpointGone:
                with engine.connect() as connection:
                    remaining = [it for it in remaining if read_checkpoint(connection, it.name)]
                continue
            remaining = retry_conflicts(partial(_swap_all, engine, store, remaining, position))
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
) -> tuple[list[Projection], PricesDiffer | SchemaError | None]:
    """Returns the projections that this process may write, and the reason to leave out others.

    Left out are those whose rows depend on other prices, and those of the application that a newer
    version of it has filled.
    """
    allowed: list[Projection] = []
    refusal: PricesDiffer | SchemaError | None = None
    with translate_errors(engine), engine.connect() as connection:
        for projection in projections:
            found = read_checkpoint(connection, projection.name)
            try:
                if projection.is_own:
                    refuse_newer(projection, found)
                check_settings(projection, found)
            except (PricesDiffer, SchemaError) as error:
                refusal = error
            else:
                allowed.append(projection)
    return allowed, refusal


def _prepare_all(engine: Engine, projections: Sequence[Projection], last: int) -> None:
    with begin_exclusive(engine) as connection:
        lock_checkpoints(connection, [ShadowProjection(it).name for it in projections])
        for projection in projections:
            _prepare(connection, projection, last)


def _prepare(connection: Connection, projection: Projection, last: int) -> None:
    """Creates shadows, unless a rebuild by this version can be resumed."""
    name = ShadowProjection(projection).name
    begun, live = read_checkpoint(connection, name), read_checkpoint(connection, projection.name)
    refuse_newer(projection, live)
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


def _swap_all(
    engine: Engine, store: EventStore, shadows: Sequence[ShadowProjection], position: int
) -> list[ShadowProjection]:
    """Swaps in the shadows that have all events up to a position; returns the other ones."""
    with engine.begin() as connection:
        lock_checkpoints(connection, [n for it in shadows for n in (it.name, it.projection.name)])
        return [it for it in shadows if not _swap(connection, store, it, position)]


def _swap(
    connection: Connection, store: EventStore, shadow: ShadowProjection, position: int
) -> bool:
    """Swaps in the shadows of a projection. Returns False if another process began them again."""
    refuse_newer(shadow.projection, read_checkpoint(connection, shadow.projection.name))
    found = read_checkpoint(connection, shadow.name)
    if found is None:
        # Another process has swapped them in.
        return True
    is_other = found.version != shadow.version or found.settings != shadow.settings
    if is_other or _has_events(store, found.position, position):
        return False
    transfer_checkpoint(connection, shadow.name, shadow.projection.name)
    transfer_notes(connection, shadow.name, shadow.projection.name)
    for table in shadow.projection.tables:
        swap_in(connection, table)
    return True


def _has_events(store: EventStore, after: int, until: int) -> bool:
    page = store.read_all(after, 1) if after < until else []
    return bool(page) and page[0].position <= until
