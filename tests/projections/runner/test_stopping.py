"""Projections that fail as a whole: they stop, and go on once they work again."""

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
from tracker.errors import ProjectionFailed
from tracker.event_store import Append, EventStore, RecordedEvent, open_event_store

pytestmark = pytest.mark.integration


class FailingProjection(RunsProjection):
    """A projection that fails as a whole from some run on."""

    def start_batch(self, fold: BatchFold) -> RunsBatch:
        return FailingBatch(fold)


class FailingBatch(RunsBatch):
    def add_page(self, page: Sequence[RecordedEvent]) -> None:
        super().add_page(page)
        if any(it.stream == "assistants:run_700" for it in page):
            raise ZeroDivisionError("not this one")


def test_a_failing_projection_stops_and_leaves_the_others_running(database_url: str) -> None:
    engine, store = open_engine(database_url, create=True), open_event_store("memory://")
    upgrade(engine)
    store.append(created_runs(1000))
    projections = (PhasesProjection(), FailingProjection(), StepsProjection())
    for _ in range(2):
        with pytest.raises(ProjectionFailed) as caught:
            catch_up(engine, store, projections, batch=300)
        assert str(caught.value) == (
            "the projection 'runs' stopped after position 600: ZeroDivisionError: not this one"
        )
        with engine.connect() as connection:
            reached = [read_checkpoint(connection, it.name) for it in projections]
            assert len(connection.execute(select(runs)).all()) == 600
        assert [it and it.position for it in reached] == [1000, 600, 1000]
        assert reached[1] is not None
        assert reached[1].failure == str(caught.value)

    assert catch_up(engine, store, [*projections[::2], RunsProjection()]) == 400
    assert catch_up(engine, store, [RunsProjection(), ActionsProjection()]) == 1000
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


def test_a_run_with_a_missing_event_is_set_aside(database_url: str) -> None:
    store = open_event_store("memory://")
    store.append(created_runs(1))
    store.append([Append("assistants:run_0", 1, [started(2, 1, 1)])])
    lossy: EventStore = LossyStore(store)  # type: ignore[assignment]
    with Views(database_url, store=lossy) as views:
        views.upgrade()
        views.catch_up()
        [run] = views.doctor().set_aside
        assert "version 1 of 'assistants:run_0' is missing before it" in run.reason
