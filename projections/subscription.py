"""Bringing a projection up to date: page after page from its checkpoint to the newest event."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Engine
from sqlalchemy.exc import InterfaceError, OperationalError

from projections.checkpoint import CheckpointMoved, advance, check_behind, start
from projections.engine import translated
from projections.projection import Projection
from tracker.core.events import Event
from tracker.errors import ProjectionFailed, RunfoldError, UnreadableEvent
from tracker.event_store.store import EventStore, RecordedEvent

# Called after each commit with the position reached and the last one of the event store.
Progress = Callable[[int, int], object]

_FIRST = 500
_PAGE = 1000


def catch_up(
    engine: Engine,
    store: EventStore,
    projection: Projection,
    *,
    batch: int = 5000,
    progress: Progress | None = None,
) -> int:
    """Applies all events after the checkpoint, and returns how many of them this call applied.

    Up to `batch` events share a transaction with the checkpoint. Any number of runners may work
    at once: what another one applied is not applied again. A kill loses nothing, and the next
    call goes on.

    Raises ProjectionFailed at the first event that cannot be read or applied; all events before
    it are applied. Raises ViewsError where the tables are ahead of the event store, and
    StoreUnavailable where the database cannot be reached.
    """
    with translated(engine):
        checkpoint = start(engine, projection)
        check_behind(checkpoint, store.last_position())
        return _follow(engine, store, projection, checkpoint.position, batch, progress)


def _follow(
    engine: Engine,
    store: EventStore,
    projection: Projection,
    position: int,
    batch: int,
    progress: Progress | None,
) -> int:
    applied, size, suspect = 0, min(_FIRST, max(1, batch)), 0
    while True:
        try:
            events = _read(store, position, size)
            if not events:
                return applied
            with engine.begin() as connection:
                advance(connection, projection.name, position, events[-1].position)
                projection.apply(connection, events)
        except CheckpointMoved:
            position = start(engine, projection).position
            continue
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            if isinstance(error, RunfoldError) and not isinstance(error, UnreadableEvent):
                raise
            # Smaller and smaller batches find the event, and apply those before it.
            if size == 1:
                raise _failure(projection, store, position, error) from error
            suspect, size = max(suspect, position + size), max(1, size // 8)
            continue
        position, applied = events[-1].position, applied + len(events)
        if position > suspect:
            size = min(batch, size * 2)
        if progress is not None:
            progress(position, max(position, store.last_position()))


def _read(store: EventStore, after: int, limit: int) -> list[RecordedEvent]:
    events: list[RecordedEvent] = []
    while len(events) < limit:
        asked = min(_PAGE, limit - len(events))
        page = store.read_all(after, asked)
        events += page
        if len(page) < asked:
            break
        after = page[-1].position
    return events


def _failure(
    projection: Projection, store: EventStore, position: int, error: Exception
) -> ProjectionFailed:
    stopped = f"the projection {projection.name!r} stopped after position {position}"
    if isinstance(error, UnreadableEvent):
        return ProjectionFailed(f"{stopped}: {error}")
    failing = store.read_all(position, 1)[0]
    event: Event = failing.event
    return ProjectionFailed(
        f"{stopped}, at the event {event.topic!r} of the stream {failing.stream!r} "
        f"(version {failing.version}, position {failing.position}): "
        f"{type(error).__name__}: {error}"
    )
