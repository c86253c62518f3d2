"""The events up to a place, and tables of their own that these are applied to."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import takewhile
from pathlib import Path

from sqlalchemy import Engine

from projections.database import migrations
from projections.database.engine import open_engine
from projections.projectors.projection import Projection
from projections.runner.catch_up import Progress, catch_up
from projections.runner.checkpoint import Checkpoint, put
from tracker.errors import ViewsError
from tracker.event_store.store import Append, EventStore, RecordedEvent


class Until:
    """An event store as it stood at a position; only for reading."""

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
        raise ViewsError("what is replayed is not written to")

    def forget(self, streams: Sequence[str]) -> int:
        raise ViewsError("what is replayed is not written to")

    def close(self) -> None:
        """The store stays its owner's."""


class ObservedUntil(Until):
    """What had been observed of each run by a moment, whenever it was recorded.

    A history ends before the first event that was observed later.
    """

    def __init__(self, store: EventStore, moment: datetime) -> None:
        super().__init__(store, store.last_position())
        self._moment = moment
        self._cuts: dict[str, int] = {}

    def read_all(self, after: int = 0, limit: int = 1000) -> list[RecordedEvent]:
        found: list[RecordedEvent] = []
        while len(found) < limit and (page := super().read_all(after, limit)):
            found += filter(self._was_observed, page)
            after = page[-1].position
        return found[:limit]

    def read(self, stream: str, after: int = 0) -> list[RecordedEvent]:
        return [it for it in self._observed(super().read(stream)) if it.version > after]

    def read_many(self, streams: Sequence[str]) -> dict[str, list[RecordedEvent]]:
        found = super().read_many(streams)
        return {stream: self._observed(events) for stream, events in found.items()}

    def _was_observed(self, recorded: RecordedEvent) -> bool:
        cut = self._cuts.get(recorded.stream)
        if cut is None and recorded.event.observed_at > self._moment:
            cut = self._cuts[recorded.stream] = recorded.version
        return cut is None or recorded.version < cut

    def _observed(self, events: Sequence[RecordedEvent]) -> list[RecordedEvent]:
        return list(takewhile(lambda it: it.event.observed_at <= self._moment, events))


def replay(
    folder: Path,
    store: EventStore,
    projections: Sequence[Projection],
    progress: Progress | None,
    pruned_before: datetime | None,
) -> Engine:
    """New tables in a folder with all events of a store applied; the engine is the caller's.

    Runs that ended before `pruned_before` are left out, as they are of the tables in use.
    """
    engine = open_engine(f"sqlite:///{folder / 'replayed.db'}", create=True)
    try:
        migrations.upgrade(engine)
        with engine.begin() as connection:
            for it in projections:
                put(connection, it.name, Checkpoint(0, it.version, None, pruned_before))
        catch_up(engine, store, projections, progress=progress)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def replayed(
    store: EventStore,
    position: int,
    projections: Sequence[Projection],
    progress: Progress | None,
    pruned_before: datetime | None,
) -> Iterator[Engine]:
    """Tables made of the events up to a position, gone at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="runfold-") as folder:
        engine = replay(Path(folder), Until(store, position), projections, progress, pruned_before)
        try:
            yield engine
        finally:
            engine.dispose()
