"""Catch-up of projections, from their checkpoints to the newest event."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from projections.database.conflicts import retry_conflicts
from projections.database.engine import translate_errors
from projections.database.refusals import is_unavailable
from projections.database.schema import SHADOW_SUFFIX
from projections.folding.kept_histories import KeptHistories
from projections.projectors.projection import Projection
from projections.runner.checkpoint import (
    CheckpointMoved,
    advance_checkpoints,
    check_not_ahead,
    ensure_checkpoint,
    read_pruned_before,
    record_failure,
)
from projections.runner.gc_pause import collect_less_often
from projections.runner.set_aside import has_notes, write_notes
from projections.runner.shared_batch import MustRunAlone, SharedBatch
from projections.runner.skipped_runs import NotesDiffer, SkippedRuns
from tracker.errors import ProjectionFailed, RunfoldError
from tracker.event_store.store import EventStore

logger = logging.getLogger("runfold.projections")

# Called after each commit with the position reached and the last position of the event store.
Progress = Callable[[int, int], object]

# Events that are freed page by page cost the garbage collector little.
_EVENTS_PER_PAGE = 500
_EVENTS_PER_BATCH = 20_000
_BATCH_BYTES = 64_000_000


class _Cursor:
    """The progress of one projection within a catch-up."""

    def __init__(self, projection: Projection, position: int) -> None:
        self.projection = projection
        self.position = position
        # Up to this position it runs alone, since a batch of several failed there.
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
    kept: KeptHistories | None = None,
) -> int:
    """Applies all events after the checkpoints, and returns how many of them this call applied.

    All projections at the same position share a batch: they read up to `batch` events once, and
    write in one transaction. Any number of processes may do this at once; each event is applied
    by one of them. After a kill, the next call resumes at the last commit. `kept` keeps the
    histories of long runs from one call to the next.

    A run with an event that cannot be read or applied, or with a row that the database refuses,
    is set aside: noted in the table `set_aside` and in the log, its rows left as they are, and its
    later events left out until it is retried or the tables are rebuilt. If the function of a
    projection of the application raises, the run is set aside for that projection alone.

    Raises ProjectionFailed where the tables of a projection cannot be written at all, after all
    other projections have reached the end; its checkpoint has the reason. Raises Outdated where
    the tables need a rebuild first, ViewsError where they are ahead of the event store, and
    StoreUnavailable where the database cannot be reached.
    """
    with translate_errors(engine), collect_less_often():
        found = [ensure_checkpoint(engine, it) for it in projections]
        # Read after the checkpoints: another process may advance one past an earlier value.
        last = store.last_position()
        for checkpoint in found:
            check_not_ahead(checkpoint, last)
        cursors = [
            _Cursor(projection, checkpoint.position)
            for projection, checkpoint in zip(projections, found, strict=True)
        ]
        failures = _run(engine, store, cursors, batch, progress, kept)
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
    kept: KeptHistories | None,
) -> list[ProjectionFailed]:
    active, failures = list(cursors), []
    while active:
        group, stop = _next_group(active)
        position = group[0].position
        try:
            count, reached = retry_conflicts(
                partial(_apply_batch, engine, store, group, batch, stop, kept)
            )
        except CheckpointMoved:
            for cursor in group:
                cursor.position = ensure_checkpoint(engine, cursor.projection).position
            continue
        except NotesDiffer:
            own = [it for it in group if it.projection.is_own]
            _separate(own if 0 < len(own) < len(group) else group, position + batch)
            continue
        except MustRunAlone as failed:
            _separate([it for it in group if it.projection.name == failed.name], position + batch)
            continue
        except RunfoldError:
            raise
        except Exception as error:
            if isinstance(error, DBAPIError) and is_unavailable(error):
                raise
            if len(group) > 1:
                _separate(group, position + batch)
                continue
            failure = _make_failure(group[0].projection, position, error)
            with engine.begin() as connection:
                record_failure(connection, group[0].projection, position, str(failure))
            failures.append(failure)
            active.remove(group[0])
            continue
        if not count:
            active = [it for it in active if it not in group]
            continue
        for cursor in group:
            cursor.position, cursor.applied = reached, cursor.applied + count
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


def _separate(group: Sequence[_Cursor], until: int) -> None:
    """Makes projections run alone up to a position, so that none of them holds up the others."""
    for cursor in group:
        cursor.alone_until = max(cursor.alone_until, until)


def _apply_batch(
    engine: Engine,
    store: EventStore,
    group: Sequence[_Cursor],
    size: int,
    stop: int | None,
    kept: KeptHistories | None,
) -> tuple[int, int]:
    """Applies up to `size` events to a group. Returns their number and the last position."""
    position, names = group[0].position, [it.projection.name for it in group]
    with engine.connect() as connection:
        has_pruned = read_pruned_before(connection) is not None
        skipped = SkippedRuns(names, is_empty=not has_notes(connection))
    projections = [it.projection for it in group]
    batch = SharedBatch(store, projections, position, has_pruned=has_pruned, kept=kept)
    count, reached = _add_pages(engine, store, batch, skipped, position, size, stop)
    if count:
        with engine.begin() as connection:
            advance_checkpoints(connection, projections, position, reached)
            skipped.check_unchanged(connection)
            batch.write(connection)
            write_notes(connection, names, position, batch.aside)
        batch.keep_long_histories()
        told: set[str] = set()
        for stream, reason in batch.aside.items():
            error = batch.errors.get(stream)
            # Of a thousand runs with one error, one traceback is enough.
            is_new = error is not None and repr(error) not in told
            told.add(repr(error))
            logger.warning(
                "%s is set aside, and left out of %s: %s; `runfold doctor` names the cure",
                stream,
                ", ".join(names),
                reason,
                exc_info=error if is_new else None,
            )
    return count, reached


def _add_pages(
    engine: Engine,
    store: EventStore,
    batch: SharedBatch,
    skipped: SkippedRuns,
    position: int,
    size: int,
    stop: int | None,
) -> tuple[int, int]:
    count = 0
    while count < size and batch.held_bytes < _BATCH_BYTES:
        limit = min(_EVENTS_PER_PAGE, size - count)
        page = store.read_all(position, limit)
        is_last = len(page) < limit
        if stop is not None and page and page[-1].position > stop:
            page, is_last = [it for it in page if it.position <= stop], True
        if page:
            position, count = page[-1].position, count + len(page)
            batch.add_page(skipped.without(engine, page))
        if is_last:
            break
    return count, position


def _make_failure(projection: Projection, position: int, error: Exception) -> ProjectionFailed:
    failure = ProjectionFailed(
        f"the projection {projection.name!r} stopped after position {position}: "
        f"{type(error).__name__}: {getattr(error, 'orig', error)}"
    )
    failure.__cause__ = error
    failure.projections = (projection.name.removesuffix(SHADOW_SUFFIX),)
    return failure
