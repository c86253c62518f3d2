"""Runs that were forgotten and are seen again: the tables have their new history alone."""

from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from projections.database.schema import STATE_TABLES, metadata
from projections.runner.catch_up import catch_up
from projections.runner.rebuild import rebuild
from projections.runner.retry import retry_run
from tests.support.reference_fold import ALL, fold_tables, open_migrated, read_tables
from tests.support.run_builder import created, ended, second, started, waiting
from tracker.core import events as e
from tracker.core.usage import Usage
from tracker.event_store import Append, EventStore, RecordedEvent, open_event_store

pytestmark = pytest.mark.integration

KEY = "assistants:run_1"
OF_RUNS = [
    name
    for name, table in metadata.tables.items()
    if "run_key" in table.c and name not in STATE_TABLES
]


def step(name: str) -> e.RunStepRecorded:
    return e.RunStepRecorded(
        observed_at=second(40),
        step_id=name,
        type="tool_calls",
        status="completed",
        tools=("price",),
        tool_call_ids=("call_1",),
        created_at=second(5),
        ended_at=second(9),
    )


def history(model: str) -> list[e.Event]:
    usage = Usage(prompt_tokens=20, completion_tokens=3, total_tokens=23)
    return [
        created(model="gpt-4o", metadata={"life": model}),
        started(2, stamp=1, since=1),
        waiting(10, since=8),
        started(20, stamp=19, since=12, previous="requires_action"),
        ended(e.RunCompleted, 31, stamp=29, since=28, usage=usage),
        step(f"of {model}"),
    ]


def append(store: EventStore, events: list[e.Event]) -> None:
    for version, it in enumerate(events):
        store.append([Append(KEY, version, [it])])


def rows_of_runs(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    return {name: rows for name, rows in read_tables(engine).items() if name in OF_RUNS}


def expected(store: EventStore) -> dict[str, list[tuple[Any, ...]]]:
    """Returns the rows that the remaining events give."""
    return {name: sorted(rows) for name, rows in fold_tables(store).items() if name in OF_RUNS}


@pytest.fixture
def engine(database_url: str) -> Any:
    engine = open_migrated(database_url)
    yield engine
    engine.dispose()


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=st.integers(1, 6), new=st.integers(1, 6), batches=st.sampled_from([1, 2, 100]))
def test_a_run_seen_again_has_its_new_rows(
    engine: Engine, old: int, new: int, batches: int
) -> None:
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            connection.execute(table.delete())
    with closing(open_event_store("memory://")) as store:
        append(store, history("old")[:old])
        catch_up(engine, store, ALL)
        store.forget([KEY])
        append(store, history("new")[:new])
        catch_up(engine, store, ALL, batch=batches)
        found = rows_of_runs(engine)
        assert found == expected(store)
        [row] = found["runs"]
        assert {"life": "new"} in row


def test_a_run_seen_again_that_was_set_aside_is_complete_after_a_retry(engine: Engine) -> None:
    with closing(open_event_store("memory://")) as store:
        append(store, [created(), created()])
        catch_up(engine, store, ALL)
        store.forget([KEY])
        append(store, history("new"))
        catch_up(engine, store, ALL)
        assert retry_run(engine, store, ALL, KEY)
        assert rows_of_runs(engine) == expected(store)


class ForgettingStore:
    """A store whose run is forgotten, and seen again, after its first page was read."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._is_first = True

    def read_all(self, after: int = 0, limit: int = 1000) -> list[RecordedEvent]:
        page = self._store.read_all(after, limit)
        if self._is_first:
            self._is_first = False
            self._store.forget([KEY])
            append(self._store, history("new")[:3])
        return page

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.mark.parametrize("known", [0, 2])
def test_a_run_forgotten_between_two_pages_of_a_batch(engine: Engine, known: int) -> None:
    with closing(open_event_store("memory://")) as store:
        others = [
            Append(f"assistants:other_{at}", 0, [created(run_id=f"other_{at}")])
            for at in range(500)
        ]
        append(store, history("old")[:known])
        if known:
            catch_up(engine, store, ALL)
        for version, it in enumerate(history("old")[known:], known):
            store.append([Append(KEY, version, [it])])
        store.append(others)
        forgetting: Any = ForgettingStore(store)
        catch_up(engine, forgetting, ALL)
        found = rows_of_runs(engine)
        assert found == expected(store)
        assert sum({"life": "new"} in row for row in found["runs"]) == 1


def test_a_run_forgotten_during_a_rebuild(engine: Engine) -> None:
    with closing(open_event_store("memory://")) as store:
        append(store, history("old"))
        catch_up(engine, store, ALL)
        seen: list[int] = []

        def come_between(position: int, last: int) -> None:
            if not seen:
                store.forget([KEY])
                append(store, history("new")[:2])
            seen.append(position)

        rebuild(engine, store, ALL, progress=come_between)
        assert len(seen) > 1
        assert rows_of_runs(engine) == expected(store)
