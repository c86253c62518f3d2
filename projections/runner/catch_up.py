"""Bringing projections up to date: page after page from their checkpoints to the newest event."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Engine, Table
from sqlalchemy.exc import InterfaceError, OperationalError

from projections.database.engine import translated
from projections.database.run_deletion import delete_runs
from projections.folding.batch_fold import BatchFold
from projections.folding.micros import micros
from projections.projectors.projection import Batch, Folded, Projection
from projections.runner.checkpoint import (
    CheckpointMoved,
    advance,
    check_behind,
    note_failure,
    pruned_before,
    start,
)
from projections.runner.gc_pause import collected_less_often
from tracker.errors import ProjectionFailed, RunfoldError, UnreadableEvent
from tracker.event_store.store import EventStore

# Called after each commit with the position reached and the last one of the event store.
Progress = Callable[[int, int], object]

# Events that live no longer than this cost the garbage collector little.
_PAGE = 500
_BATCH = 20_000
_BATCH_BYTES = 64_000_000


class _Runner:
    """One projection on its way. Up to `suspect` it goes alone, since something failed there."""

    def __init__(self, projection: Projection, position: int, size: int) -> None:
        self.projection = projection
        self.position = position
        self.size = size
        self.suspect = 0
        self.applied = 0


def catch_up(
    engine: Engine,
    store: EventStore,
    projections: Sequence[Projection],
    *,
    batch: int = _BATCH,
    progress: Progress | None = None,
) -> int:
    """Applies all events after the checkpoints, and returns how many of them this call applied.

    Up to `batch` events share a transaction with the checkpoints of all projections that stand
    at the same position, which read them once. Any number of runners may work at once: what
    another one applied is not applied again. A kill loses nothing, and the next call goes on.

    Raises ProjectionFailed where an event cannot be read or applied, once all other projections
    are at the end; the one that failed has applied all events before it, and its checkpoint says
    why it stopped. Raises Outdated where tables are to be made again first, ViewsError where they
    are ahead of the event store, and StoreUnavailable where the database cannot be reached.
    """
    with translated(engine), collected_less_often():
        places = [start(engine, it) for it in projections]
        # Asked after: another runner may bring a checkpoint past what was the last before.
        last = store.last_position()
        for place in places:
            check_behind(place, last)
        runners = [
            _Runner(projection, place.position, batch)
            for projection, place in zip(projections, places, strict=True)
        ]
        failures = _follow(engine, store, runners, batch, progress)
    if failures:
        first_failure, *others = failures
        first_failure.projections = tuple(name for it in failures for name in it.projections)
        for other in others:
            first_failure.add_note(str(other))
        raise first_failure
    return max((it.applied for it in runners), default=0)


def _follow(
    engine: Engine,
    store: EventStore,
    runners: Sequence[_Runner],
    batch: int,
    progress: Progress | None,
) -> list[ProjectionFailed]:
    active, failures = list(runners), []
    while active:
        group, stop = _next(active)
        position, size = group[0].position, min(it.size for it in group)
        try:
            count, reached = _apply(engine, store, group, size, stop)
        except CheckpointMoved:
            for runner in group:
                runner.position = start(engine, runner.projection).position
            continue
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            if isinstance(error, RunfoldError) and not isinstance(error, UnreadableEvent):
                raise
            for runner in group:
                runner.suspect = max(runner.suspect, position + size)
            if len(group) == 1 and size == 1:
                failure = _failure(group[0].projection, store, position, error)
                with engine.begin() as connection:
                    note_failure(connection, group[0].projection.name, position, str(failure))
                failures.append(failure)
                active.remove(group[0])
            elif len(group) == 1:
                # Smaller and smaller batches find the event, and apply those before it.
                group[0].size = max(1, size // 8)
            continue
        if not count:
            active = [it for it in active if it not in group]
            continue
        for runner in group:
            runner.position, runner.applied = reached, runner.applied + count
            if reached > runner.suspect:
                runner.size = min(batch, size * 2)
        if progress is not None:
            behind = min(it.position for it in active)
            progress(behind, max(reached, store.last_position()))
    return failures


def _next(active: Sequence[_Runner]) -> tuple[list[_Runner], int | None]:
    """The runners that are furthest behind, and the position where they meet others."""
    position = min(it.position for it in active)
    here = [it for it in active if it.position == position]
    alone = [it for it in here if it.suspect > position]
    beyond = [it.position for it in active if it.position > position]
    return alone[:1] or here, min(beyond, default=None)


def _apply(
    engine: Engine, store: EventStore, group: Sequence[_Runner], size: int, stop: int | None
) -> tuple[int, int]:
    """Applies up to `size` events to a group; how many there were, and the last one's position."""
    position = group[0].position
    fold = BatchFold(store, position)
    batches = [it.projection.begin(fold) for it in group]
    with engine.connect() as connection:
        is_pruned = pruned_before(connection) is not None
    # Which runs have ended, only a fold of them says.
    taking: list[Batch | Folded] = [*batches, *([Folded(fold)] if is_pruned else [])]
    count, reached = _read(store, fold, taking, position, size, stop)
    if count:
        with engine.begin() as connection:
            for runner in group:
                advance(connection, runner.projection.name, position, reached)
            before = pruned_before(connection)
            if before is not None:
                if not is_pruned:
                    raise CheckpointMoved("runs were pruned for the first time meanwhile")
                gone = fold.prune(micros(before))
                for runner in group:
                    delete_runs(connection, runner.projection.tables, gone)
            for batch in batches:
                batch.write(connection, _live)
    return count, reached


def _live(table: Table) -> Table:
    return table


def _read(
    store: EventStore,
    fold: BatchFold,
    batches: Sequence[Batch | Folded],
    position: int,
    size: int,
    stop: int | None,
) -> tuple[int, int]:
    count = 0
    while count < size and fold.weight + sum(it.weight for it in batches) < _BATCH_BYTES:
        asked = min(_PAGE, size - count)
        page = store.read_all(position, asked)
        is_last = len(page) < asked
        if stop is not None and page and page[-1].position > stop:
            page, is_last = [it for it in page if it.position <= stop], True
        if page:
            for batch in batches:
                batch.take(page)
            position, count = page[-1].position, count + len(page)
        if is_last:
            break
    return count, position


def _failure(
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
