"""Pruning, catching up and rebuilding in any order: equal to one plain fold."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from projections.database.schema import runs
from projections.maintenance.pruning import prune
from projections.maintenance.verify import verify
from projections.runner.catch_up import catch_up
from projections.runner.checkpoint import read_pruned_before
from projections.runner.rebuild import rebuild
from tests.support.examples import examples
from tests.support.reference_fold import ALL, appends, fold_tables, open_migrated, read_tables
from tests.support.run_builder import second
from tracker.core import events as e
from tracker.event_store import Append, open_event_store

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def sqlite_engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return open_migrated(f"sqlite:///{tmp_path_factory.mktemp('pruning') / 'runs.db'}")


@settings(max_examples=examples(12), deadline=None, suppress_health_check=list(HealthCheck))
@given(appends(), st.data())
def test_any_turns_of_pruning_leave_what_one_fold_says(
    sqlite_engine: Engine, steps: list[Append], data: st.DataObject
) -> None:
    compare(sqlite_engine, steps, data)
    sqlite_engine.dispose()


def test_any_turns_of_pruning_on_postgresql(postgres_db: str) -> None:
    engine = open_migrated(postgres_db)

    @settings(max_examples=examples(4), deadline=None, suppress_health_check=list(HealthCheck))
    @given(appends(), st.data())
    def check(steps: list[Append], data: st.DataObject) -> None:
        compare(engine, steps, data)

    check()
    engine.dispose()


def compare(engine: Engine, steps: list[Append], data: st.DataObject) -> None:
    """Appends, catches up, prunes and rebuilds in random order, and compares."""
    store = open_event_store("memory://")
    with engine.begin() as connection:
        for name in read_tables(engine):
            connection.execute(text(f"DELETE FROM {name}"))
        connection.execute(text("DELETE FROM runfold_checkpoints"))
    while steps:
        count = data.draw(st.integers(1, len(steps)))
        # Timestamps are added, since an end without one can be moved by a step.
        store.append(
            [
                it._replace(events=[_add_timestamp(event) for event in it.events])
                for it in steps[:count]
            ]
        )
        steps = steps[count:]
        catch_up(engine, store, ALL, batch=data.draw(st.integers(1, 9)))
        if data.draw(st.booleans()):
            prune(engine, ALL, second(data.draw(st.integers(0, 200))), 1)
    if data.draw(st.booleans()):
        rebuild(engine, store, data.draw(st.permutations(ALL)))
    with engine.connect() as connection:
        cut = read_pruned_before(connection)
    expected = fold_tables(store)
    ended_at = list(runs.c.keys()).index("ended_at")
    ends = {run[0]: run[ended_at] for run in expected["runs"]}
    gone = {key for key, it in ends.items() if cut and it and it < cut}
    for name in ("runs", "run_phases", "run_actions", "run_steps"):
        expected[name] = [row for row in expected[name] if row[0] not in gone]
    assert read_tables(engine) == expected
    assert verify(engine, store, ALL) == []


def _add_timestamp(event: e.Event) -> e.Event:
    if isinstance(event, e.RunEnded) and event.occurred_at is None:
        return event.model_copy(update={"occurred_at": event.observed_at})
    return event
