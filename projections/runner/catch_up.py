"""Catch-up of projections, from their checkpoints to the newest event."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Engine, Table
from sqlalchemy.exc import InterfaceError, OperationalError

from projections.database.engine import translate_errors
from projections.database.run_deletion import delete_runs
from projections.folding.batch_fold import BatchFold
from projections.folding.micros import micros
from projections.projectors.projection import Batch, FoldedBatch, Projection
from projections.runner.checkpoint import (
    CheckpointMoved,
    advance_checkpoint,
    check_not_ahead,
    ensure_checkpoint,
    read_pruned_before,
    record_failure,
)
from projections.runner.gc_pause import collect_less_often
from tracker.errors import ProjectionFailed, RunfoldError, UnreadableEvent
from tracker.event_store.store import EventStore

# Called after each commit with the position reached and the last position of the event store.
Progress = Callable[[int, int], object]

# Events that are freed page by page cost the garbage collector little.
_EVENTS_PER_PAGE = 500
_EVENTS_PER_BATCH = 20_000
_BATCH_BYTES = 64_000_000


class _Cursor:
    """The progress of one projection within a catch-up."""

    def __init__(self, projection: Projection, position: int, size: int) -> None:
        self.projection = projection
        self.position = position
        # The number of events in its next batch.
        self.size = size
        # Up to this position it runs alone, since a batch failed there.
        self.alone_until = 0
        # The number of events that this catch-up has applied.
        self.applied = 0


def catch_up(
    engine: Engine,
    store: EventStore,
    projections: Sequence[Projection],
    *,
    batch: int = _EVENTS_PER_BATCH,
    progress: Progress | None = None,
) -> int:
    """Applies all events after the checkpoints, and returns how many of them this call applied.

    All projections at the same position share a batch: they read up to `batch` events once, and
    write in one transaction. Any number of processes may do this at once; each event is applied
    by one of them. After a kill, the next call resumes at the last commit.

    Raises ProjectionFailed where an event cannot be read or applied, after all other projections
    have reached the end; the failed one has applied all events before it, and its checkpoint has
    the reason. Raises Outdated where the tables need a rebuild first, ViewsError where they are
    ahead of the event store, and StoreUnavailable where the database cannot be reached.
    """
    with translate_errors(engine), collect_less_often():
        found = [ensure_checkpoint(engine, it) for it in projections]
        # Read after the checkpoints: another process may advance one past an earlier value.
        last = store.last_position()
        for checkpoint in found:
            check_not_ahead(checkpoint, last)
        cursors = [
            _Cursor(projection, checkpoint.position, batch)
            for projection, checkpoint in zip(projections, found, strict=True)
        ]
        failures = _run(engine, store, cursors, batch, progress)
    if failures:
        first_failure, *others = failures
        first_failure.projections = tuple(name for it in failures for name in it.projections)
        for other in others:
            first_failure.add_note(str(other))
        raise first_failure
    return max((it.applied for it in cursors), default=0)


def _run(
    engine: Engine,
    store: EventStore,
    cursors: Sequence[_Cursor],
    batch: int,
    progress: Progress | None,
) -> list[ProjectionFailed]:
    active, failures = list(cursors), []
    while active:
        group, stop = _next_group(active)
        position, size = group[0].position, min(it.size for it in group)
        try:
            count, reached = _apply_batch(engine, store, group, size, stop)
        except CheckpointMoved:
            for cursor in group:
                cursor.position = ensure_checkpoint(engine, cursor.projection).position
            continue
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            if isinstance(error, RunfoldError) and not isinstance(error, UnreadableEvent):
                raise
            for cursor in group:
                cursor.alone_until = max(cursor.alone_until, position + size)
            if len(group) == 1 and size == 1:
                failure = _make_failure(group[0].projection, store, position, error)
                with engine.begin() as connection:
                    record_failure(connection, group[0].projection.name, position, str(failure))
                failures.append(failure)
                active.remove(group[0])
            elif len(group) == 1:
                # Ever smaller batches isolate the event, and apply those before it.
                group[0].size = max(1, size // 8)
            continue
        if not count:
            active = [it for it in active if it not in group]
            continue
        for cursor in group:
            cursor.position, cursor.applied = reached, cursor.applied + count
            if reached > cursor.alone_until:
                cursor.size = min(batch, size * 2)
        if progress is not None:
            behind = min(it.position for it in active)
            progress(behind, max(reached, store.last_position()))
    return failures


def _next_group(active: Sequence[_Cursor]) -> tuple[list[_Cursor], int | None]:
    """Returns the cursors that are furthest behind, and the position at which they meet others."""
    position = min(it.position for it in active)
    here = [it for it in active if it.position == position]
    alone = [it for it in here if it.alone_until > position]
    beyond = [it.position for it in active if it.position > position]
    return alone[:1] or here, min(beyond, default=None)


def _apply_batch(
    engine: Engine, store: EventStore, group: Sequence[_Cursor], size: int, stop: int | None
) -> tuple[int, int]:
    """Applies up to `size` events to a group. Returns their number and the last position."""
    position = group[0].position
    fold = BatchFold(store, position)
    batches = [it.projection.start_batch(fold) for it in group]
    with engine.connect() as connection:
        has_pruned = read_pruned_before(connection) is not None
    # Only the fold knows which runs have ended, and not every projection needs it.
    folding: list[Batch | FoldedBatch] = [*batches, *([FoldedBatch(fold)] if has_pruned else [])]
    count, reached = _add_pages(store, fold, folding, position, size, stop)
    if count:
        with engine.begin() as connection:
            for cursor in group:
                advance_checkpoint(connection, cursor.projection.name, position, reached)
            before = read_pruned_before(connection)
            if before is not None:
                if not has_pruned:
                    raise CheckpointMoved("runs were pruned for the first time during the batch")
                pruned = fold.mark_pruned(micros(before))
                for cursor in group:
                    delete_runs(connection, cursor.projection.tables, pruned)
            for batch in batches:
                batch.write(connection, _public)
    return count, reached


def _public(table: Table) -> Table:
    return table


def _add_pages(
    store: EventStore,
    fold: BatchFold,
    batches: Sequence[Batch | FoldedBatch],
    position: int,
    size: int,
    stop: int | None,
) -> tuple[int, int]:
    count = 0
    while count < size and fold.held_bytes + sum(it.held_bytes for it in batches) < _BATCH_BYTES:
        limit = min(_EVENTS_PER_PAGE, size - count)
        page = store.read_all(position, limit)
        is_last = len(page) < limit
        if stop is not None and page and page[-1].position > stop:
            page, is_last = [it for it in page if it.position <= stop], True
        if page:
            for batch in batches:
                batch.add_page(page)
            position, count = page[-1].position, count + len(page)
        if is_last:
            break
    return count, position


def _make_failure(
    projection: Projection, store: EventStore, position: int, error: Exception
) -> ProjectionFailed:
    stopped = f"the projection {projection.name!r} stopped after position {position}"
    if isinstance(error, UnreadableEvent):
        failure = ProjectionFailed(f"{stopped}: {error}")
    else:
        failing = store.read_all(position, 1)[0]
        failure = ProjectionFailed(
            f"{stopped}, at the event {failing.event.topic!r} of the stream {failing.stream!r} "
            f"(version {failing.version}, position {failing.position}): "
            f"{type(error).__name__}: {error}"
        )
    failure.__cause__ = error
    failure.projections = (projection.name,)
    return failure
