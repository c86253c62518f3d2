"""Projections that stop before an event, and go on once it can be applied."""

from collections.abc import Sequence

import pytest
from sqlalchemy import select

from projections import Views
from projections.database.engine import open_engine
from projections.database.migrations import upgrade
from projections.database.schema import runs
from projections.folding.batch_fold import BatchFold
from projections.projectors.actions import ActionsProjection
from projections.projectors.phases import PhasesProjection
from projections.projectors.runs import RunsBatch, RunsProjection
from projections.projectors.steps import StepsProjection
from projections.runner.catch_up import catch_up
from projections.runner.checkpoint import read_checkpoint
from tests.support.run_builder import created_runs, started
from tracker.errors import (
    ProjectionFailed,
    UnreadableEvent,
)
from tracker.event_store import Append, EventStore, RecordedEvent, open_event_store

pytestmark = pytest.mark.integration


class FailingProjection(RunsProjection):
    """A projection that fails at one run."""

    def start_batch(self, fold: BatchFold) -> RunsBatch:
        return FailingBatch(fold)


class FailingBatch(RunsBatch):
    def add_page(self, page: Sequence[RecordedEvent]) -> None:
        super().add_page(page)
        if any(it.stream == "assistants:run_700" for it in page):
            raise ZeroDivisionError("not this one")


def test_a_failing_projection_stops_before_the_event_and_says_where(database_url: str) -> None:
    engine, store = open_engine(database_url, create=True), open_event_store("memory://")
    upgrade(engine)
    store.append(created_runs(1000))
    seen: list[tuple[int, int]] = []
    for _ in range(2):
        with pytest.raises(ProjectionFailed) as caught:
            catch_up(engine, store, [FailingProjection()], progress=lambda *it: seen.append(it))
        assert str(caught.value) == (
            "the projection 'runs' stopped after position 700, at the event 'run.created' of the "
            "stream 'assistants:run_700' (version 1, position 701): ZeroDivisionError: not this one"
        )
        with engine.connect() as connection:
            checkpoint = read_checkpoint(connection, "runs")
            assert checkpoint is not None
            assert checkpoint.position == len(connection.execute(select(runs)).all()) == 700
    assert seen[-1] == (700, 1000)
    assert catch_up(engine, store, [RunsProjection()]) == 300
    engine.dispose()


def test_a_failing_projection_leaves_the_others_running(database_url: str) -> None:
    engine, store = open_engine(database_url, create=True), open_event_store("memory://")
    upgrade(engine)
    store.append(created_runs(1000))
    projections = (PhasesProjection(), FailingProjection(), StepsProjection())
    for _ in range(2):
        with pytest.raises(ProjectionFailed, match="'runs' stopped after position 700,"):
            catch_up(engine, store, projections, batch=300)
    with engine.connect() as connection:
        reached = [read_checkpoint(connection, it.name) for it in projections]
    assert [it and it.position for it in reached] == [1000, 700, 1000]

    assert catch_up(engine, store, [*projections[::2], RunsProjection()]) == 300
    assert catch_up(engine, store, [RunsProjection(), ActionsProjection()]) == 1000
    engine.dispose()


class UnreadableStore:
    """An event store with an event that this release cannot read."""

    def __init__(self, store: EventStore, at: int) -> None:
        self._store, self._at = store, at

    def read_all(self, after: int = 0, limit: int = 1000) -> list[RecordedEvent]:
        if after < self._at <= after + limit:
            raise UnreadableEvent("an event of topic 'run.painted/1' cannot be read")
        return self._store.read_all(after, limit)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def test_an_event_that_cannot_be_read_stops_it_right_before(database_url: str) -> None:
    engine, store = open_engine(database_url, create=True), open_event_store("memory://")
    upgrade(engine)
    store.append(created_runs(100))
    with pytest.raises(ProjectionFailed, match=r"stopped after position 76: .*run\.painted/1"):
        catch_up(engine, UnreadableStore(store, 77), [RunsProjection()])  # type: ignore[arg-type]
    assert catch_up(engine, store, [RunsProjection()]) == 24
    engine.dispose()


class LossyStore:
    """An event store that has lost the first event of every run."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    def read_all(self, after: int = 0, limit: int = 1000) -> list[RecordedEvent]:
        left = [it for it in self._store.read_all(after, 10_000) if it.version > 1]
        return left[:limit]

    def read_many(self, streams: Sequence[str]) -> dict[str, list[RecordedEvent]]:
        found = self._store.read_many(streams)
        return {key: [it for it in events if it.version > 1] for key, events in found.items()}

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def test_a_missing_event_stops_it(database_url: str) -> None:
    store = open_event_store("memory://")
    store.append(created_runs(1))
    store.append([Append("assistants:run_0", 1, [started(2, 1, 1)])])
    lossy: EventStore = LossyStore(store)  # type: ignore[assignment]
    with Views(database_url, store=lossy) as views:
        views.upgrade()
        with pytest.raises(ProjectionFailed, match=r"version 1 .* is missing before it"):
            views.catch_up()
