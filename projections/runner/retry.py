"""Retries of runs that are set aside, from their whole histories."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from sqlalchemy import Engine

from projections.database.conflicts import retry_conflicts
from projections.projectors.projection import Projection
from projections.runner.checkpoint import (
    CheckpointMoved,
    advance_checkpoints,
    ensure_checkpoint,
    read_pruned_before,
)
from projections.runner.set_aside import delete_notes, read_notes, write_notes
from projections.runner.shared_batch import MustRunAlone, SharedBatch
from tracker.event_store.store import EventStore

_EVENTS_PER_PAGE = 500


class _Place(NamedTuple):
    """The positions up to which tables have the events of one run, and of all other runs."""

    run: int
    others: int


def retry_run(
    engine: Engine, store: EventStore, projections: Sequence[Projection], stream: str
) -> bool:
    """Applies the events of a run that were left out. Returns False if it stays set aside.

    The rows are made of its whole history, in one transaction for the projections that have set
    it aside at the same position. If it fails again, the rows stay as they are, and the reason is
    the new one.
    """
    is_complete = True
    for place, group in _find_places(engine, projections, stream).items():
        while True:
            try:
                apply = partial(_apply, engine, store, group, stream, place)
                is_complete &= retry_conflicts(apply)
                break
            except MustRunAlone:
                alone = [retry_run(engine, store, [it], stream) for it in group]
                is_complete &= all(alone)
                break
            except CheckpointMoved:
                found = _find_places(engine, group, stream)
                if len(found) != 1:
                    # Somebody else retried or rebuilt some of them: what is left is done anew.
                    is_complete &= not found or retry_run(engine, store, group, stream)
                    break
                [(place, group)] = found.items()
    return is_complete


def _find_places(
    engine: Engine, projections: Sequence[Projection], stream: str
) -> dict[_Place, list[Projection]]:
    """Returns the projections that have set a run aside, by the positions of their tables."""
    with engine.connect() as connection:
        notes = read_notes(connection, [it.name for it in projections], [stream])
    found: dict[_Place, list[Projection]] = {}
    for projection in projections:
        position = notes.get((projection.name, stream))
        if position is not None:
            reached = ensure_checkpoint(engine, projection).position
            found.setdefault(_Place(position, reached), []).append(projection)
    return found


def _apply(
    engine: Engine,
    store: EventStore,
    projections: Sequence[Projection],
    stream: str,
    place: _Place,
) -> bool:
    names = [it.name for it in projections]
    with engine.connect() as connection:
        has_pruned = read_pruned_before(connection) is not None
    batch = SharedBatch(store, projections, place.run, has_pruned=has_pruned)
    events = [it for it in store.read(stream) if place.run < it.position <= place.others]
    for at in range(0, len(events), _EVENTS_PER_PAGE):
        batch.add_page(events[at : at + _EVENTS_PER_PAGE])
    with engine.begin() as connection:
        # Moves nothing: runners wait, and nobody has applied more.
        advance_checkpoints(connection, projections, place.others, place.others)
        if set(read_notes(connection, names, [stream]).values()) != {place.run}:
            raise CheckpointMoved(f"{stream} was retried by another process")
        delete_notes(connection, names, [stream])
        batch.write(connection)
        write_notes(connection, names, place.run, batch.aside)
    return not batch.aside
