"""Replays of the events up to a position or a moment into new tables."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import takewhile
from pathlib import Path

from sqlalchemy import Connection, Engine

from projections.database import migrations
from projections.database.engine import open_engine
from projections.projectors.projection import Projection
from projections.runner.catch_up import Progress, catch_up
from projections.runner.checkpoint import Checkpoint, set_checkpoint
from projections.runner.own_tables import create_own_tables
from projections.runner.set_aside import copy_notes
from tracker.errors import ViewsError
from tracker.event_store.store import Append, EventStore, RecordedEvent


class StoreAtPosition:
    """A read-only view of an event store as it was at a position."""

    def __init__(self, store: EventStore, position: int) -> None:
        self._store, self._position = store, position

    def read_all(self, after: int = 0, limit: int = 1000) -> list[RecordedEvent]:
        page = self._store.read_all(after, limit)
        return [it for it in page if it.position <= self._position]

    def read(self, stream: str, after: int = 0) -> list[RecordedEvent]:
        return [it for it in self._store.read(stream, after) if it.position <= self._position]

    def read_many(self, streams: Sequence[str]) -> dict[str, list[RecordedEvent]]:
        found = self._store.read_many(streams)
        return {
            stream: [it for it in events if it.position <= self._position]
            for stream, events in found.items()
        }

    def last_position(self) -> int:
        return self._position

    def wait(self, after: int, timeout: float) -> bool:
        return after < self._position

    def append(self, batch: Sequence[Append]) -> None:
        raise ViewsError("a replay does not write to the event store")

    def forget(self, streams: Sequence[str]) -> int:
        raise ViewsError("a replay does not write to the event store")

    def close(self) -> None:
        """Does nothing: the store belongs to the caller."""


class StoreAtMoment(StoreAtPosition):
    """A read-only view of the events that had been observed by a moment, whenever recorded.

    The history of a run ends before its first event that was observed later.
    """

    def __init__(self, store: EventStore, moment: datetime) -> None:
        super().__init__(store, store.last_position())
        self._moment = moment
        # The version of the first event of a stream that was observed later.
        self._cuts: dict[str, int] = {}

    def read_all(self, after: int = 0, limit: int = 1000) -> list[RecordedEvent]:
        found: list[RecordedEvent] = []
        while len(found) < limit and (page := super().read_all(after, limit)):
            found += filter(self._is_included, page)
            after = page[-1].position
        return found[:limit]

    def read(self, stream: str, after: int = 0) -> list[RecordedEvent]:
        return [it for it in self._cut_off(super().read(stream)) if it.version > after]

    def read_many(self, streams: Sequence[str]) -> dict[str, list[RecordedEvent]]:
        found = super().read_many(streams)
        return {stream: self._cut_off(events) for stream, events in found.items()}

    def _is_included(self, recorded: RecordedEvent) -> bool:
        cut = self._cuts.get(recorded.stream)
        if cut is None and recorded.event.observed_at > self._moment:
            cut = self._cuts[recorded.stream] = recorded.version
        return cut is None or recorded.version < cut

    def _cut_off(self, events: Sequence[RecordedEvent]) -> list[RecordedEvent]:
        return list(takewhile(lambda it: it.event.observed_at <= self._moment, events))


def replay(
    folder: Path,
    store: EventStore,
    projections: Sequence[Projection],
    progress: Progress | None,
    pruned_before: datetime | None,
    live: Connection | None = None,
) -> Engine:
    """Applies all events of a store to new tables in a folder; the caller disposes the engine.

    Runs that ended before `pruned_before` are left out, as in the tables in use. So are the events
    of runs that are set aside in the tables of `live`, after the same positions.
    """
    engine = open_engine(f"sqlite:///{folder / 'replayed.db'}", create=True)
    try:
        migrations.upgrade(engine)
        with engine.begin() as connection:
            create_own_tables(connection, projections)
            for it in projections:
                fresh = Checkpoint(0, it.version, None, pruned_before, it.settings)
                set_checkpoint(connection, it.name, fresh)
            if live is not None:
                copy_notes(live, connection, [it.name for it in projections])
        catch_up(engine, store, projections, progress=progress)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def replay_temporarily(
    store: EventStore,
    position: int,
    projections: Sequence[Projection],
    progress: Progress | None,
    pruned_before: datetime | None,
    live: Connection,
) -> Iterator[Engine]:
    """Yields tables with the events up to a position applied, and deletes them afterwards."""
    with tempfile.TemporaryDirectory(prefix="runfold-") as folder:
        engine = replay(
            Path(folder),
            StoreAtPosition(store, position),
            projections,
            progress,
            pruned_before,
            live,
        )
        try:
            yield engine
        finally:
            engine.dispose()
