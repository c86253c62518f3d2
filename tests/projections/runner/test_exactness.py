"""Histories in any batches, by any number of runners: the rows of one plain fold."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete

from projections.database.schema import metadata
from projections.folding.kept_histories import KeptHistories
from projections.runner.catch_up import catch_up
from projections.runner.rebuild import rebuild
from projections.views import PROJECTIONS
from tests.support.examples import examples
from tests.support.generated_runs import second
from tests.support.reference_fold import (
    ALL,
    ASIDES,
    appends,
    fold_tables,
    open_migrated,
    read_tables,
)
from tests.support.run_builder import created, waiting
from tracker.core import events as e
from tracker.event_store import Append, EventStore, RecordedEvent, open_event_store

pytestmark = pytest.mark.integration


class ConcurrentStore:
    """An event store during whose reads another runner applies batches."""

    def __init__(self, store: EventStore, engine: Engine, data: st.DataObject) -> None:
        self._store, self._engine, self._data = store, engine, data
        self.applied = 0

    def read_all(self, after: int = 0, limit: int = 1000) -> list[RecordedEvent]:
        page = self._store.read_all(after, limit)
        if self._data.draw(st.booleans()):
            batch = self._data.draw(st.integers(1, 9))
            self.applied += catch_up(self._engine, self._store, ALL, batch=batch)
        return page

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def check(engine: Engine, steps: Sequence[Append], data: st.DataObject) -> None:
    """Appends and catches up in turns with two competing runners, and compares."""
    store = open_event_store("memory://")
    with engine.begin() as connection:
        for table in metadata.tables.values():
            connection.execute(delete(table))
    concurrent = ConcurrentStore(store, engine, data)
    one_runner: EventStore = concurrent  # type: ignore[assignment]
    applied, kept = 0, KeptHistories(shortest=1)
    while steps:
        count = data.draw(st.integers(1, len(steps)))
        store.append(steps[:count])
        steps = steps[count:]
        batch = data.draw(st.integers(1, 9))
        applied += catch_up(engine, one_runner, ALL, batch=batch, kept=kept)
    assert applied + concurrent.applied == store.last_position()
    assert read_tables(engine) == fold_tables(store)
    rebuild(engine, store, data.draw(st.permutations(ALL)))
    assert read_tables(engine) == fold_tables(store)


def test_a_step_recorded_before_its_pause_was_seen_leaves_no_phase_behind(
    database_url: str,
) -> None:
    early = ASIDES[2].model_copy(update={"created_at": second(5), "ended_at": second(9)})
    changed = e.RunStatusChanged(
        observed_at=second(5.001), not_before=second(0), previous="queued", status="in_progress"
    )
    store = open_event_store("memory://")
    for version, event in enumerate((created(), early, changed, waiting(6.5, since=5))):
        store.append([Append("assistants:run_1", version, [event])])
    engine = open_migrated(database_url)
    catch_up(engine, store, PROJECTIONS, batch=1)
    assert read_tables(engine) == fold_tables(store)
    engine.dispose()


any_number = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def sqlite_engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return open_migrated(f"sqlite:///{tmp_path_factory.mktemp('views') / 'runs.db'}")


@settings(any_number, max_examples=examples(30))
@given(appends(), st.data())
def test_any_batches_give_the_rows_of_one_fold_on_sqlite(
    sqlite_engine: Engine, steps: list[Append], data: st.DataObject
) -> None:
    check(sqlite_engine, steps, data)
    sqlite_engine.dispose()


def test_any_batches_give_the_rows_of_one_fold_on_postgresql(postgres_db: str) -> None:
    engine = open_migrated(postgres_db)

    @settings(any_number, max_examples=examples(10))
    @given(appends(), st.data())
    def compare(steps: list[Append], data: st.DataObject) -> None:
        check(engine, steps, data)

    compare()
    engine.dispose()
