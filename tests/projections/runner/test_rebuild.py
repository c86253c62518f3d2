"""Rebuilds of the tables: verified, swapped in, and harmless when killed."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from projections import Views
from projections.database.engine import open_engine
from tests.support.paths import ROOT
from tests.support.run_builder import created, ended, started, waiting
from tracker import EventStore, open_event_store
from tracker.core import events as e
from tracker.errors import SettingsError, StoreUnavailable, ViewsError
from tracker.event_store import Append, RecordedEvent

pytestmark = pytest.mark.integration

RUNS = 120


@pytest.fixture
def store() -> Iterator[EventStore]:
    store = open_event_store("memory://")
    for number in range(RUNS):
        story = [
            created(run_id=f"run_{number}"),
            started(2, stamp=1, since=1),
            waiting(10, since=8),
            ended(e.RunCompleted, 20, stamp=19, since=12, previous="requires_action"),
        ]
        store.append([Append(f"assistants:run_{number}", 0, story[: 1 + number % 4])])
    yield store
    store.close()


@pytest.fixture
def views(database_url: str, store: EventStore) -> Iterator[Views]:
    with Views(database_url, store=store) as views:
        views.upgrade()
        views.catch_up()
        yield views


def execute(url: str, *statements: str) -> None:
    engine = open_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def make_runs(number: int) -> list[Append]:
    return [
        Append(f"assistants:other_{run}", 0, [created(run_id=f"other_{run}")])
        for run in range(number)
    ]


def read_answers(views: Views) -> tuple[Any, ...]:
    runs = sorted(views.runs(limit=None), key=lambda it: it.run_key)
    return runs, [views.phases(run.run_id) for run in runs], views.actions()


def test_tables_that_are_what_the_events_say(views: Views, store: EventStore) -> None:
    assert views.verify() == []
    # Events after the checkpoint are no difference.
    store.append([Append("assistants:run_new", 0, [created(run_id="run_new")])])
    assert views.verify() == []


def test_a_difference_is_named_and_a_rebuild_ends_it(views: Views, database_url: str) -> None:
    before = read_answers(views)
    execute(
        database_url,
        "UPDATE runs SET model = 'another' WHERE run_id = 'run_7'",
        "DELETE FROM run_phases WHERE run_key = 'assistants:run_9' AND seq = 1",
        "INSERT INTO run_actions (run_key, seq, tool_call_id, required_at) "
        "VALUES ('assistants:run_of_nobody', 1, 'call', '2026-01-01 00:00:00')",
    )
    found = {(it.table, it.key, it.column) for it in views.verify()}
    assert found == {
        ("runs", ("assistants:run_7",), "model"),
        ("run_phases", ("assistants:run_9", 1), None),
        ("run_actions", ("assistants:run_of_nobody", 1, "call"), None),
    }
    assert views.rebuild("runs", "actions") > 0
    assert {it.table for it in views.verify()} == {"run_phases"}
    views.rebuild()
    assert views.verify() == []
    assert read_answers(views) == before


def test_readers_see_whole_tables_all_the_while(views: Views, database_url: str) -> None:
    done, seen = threading.Event(), set[tuple[int, int]]()

    def read() -> None:
        with Views(database_url) as reader:
            while not done.is_set():
                rows = reader.runs(limit=None)
                seen.add((len(rows), sum(row.outcome == "completed" for row in rows)))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(3):
        views.rebuild()
    done.set()
    reader.join()
    assert seen == {(RUNS, RUNS // 4)}


def test_the_live_projection_goes_on_after_a_rebuild(views: Views, store: EventStore) -> None:
    store.append(make_runs(5))
    position = views.rebuild()
    assert position == store.last_position()
    assert views.catch_up() == 0
    store.append([Append("assistants:run_0", 1, [started(2, stamp=1, since=1)])])
    assert views.catch_up() == 1
    assert views.verify() == []


def test_a_rebuild_that_fails_changes_nothing(
    views: Views, store: EventStore, database_url: str
) -> None:
    before = read_answers(views)

    class ClosingStore:
        def read_all(self, after: int = 0, limit: int = 1000) -> list[RecordedEvent]:
            if after > 100:
                raise StoreUnavailable("gone")
            return store.read_all(after, limit)

        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

    closing: EventStore = ClosingStore()  # type: ignore[assignment]
    with Views(database_url, store=closing) as other, pytest.raises(StoreUnavailable):
        other.rebuild()
    assert read_answers(views) == before
    assert views.verify() == []


def test_a_restored_store_is_caught_up_with_by_a_rebuild(database_url: str, views: Views) -> None:
    smaller = open_event_store("memory://")
    smaller.append(make_runs(3))
    with Views(database_url, store=smaller) as restored:
        with pytest.raises(ViewsError, match="runfold rebuild --all"):
            restored.catch_up()
        restored.rebuild()
        assert restored.catch_up() == 0
        assert len(restored.runs()) == 3


def test_an_unknown_projection_is_refused(views: Views) -> None:
    with pytest.raises(SettingsError, match="runs, phases, actions, steps"):
        views.rebuild("usage_of_mine")


def test_projections_at_different_positions_are_not_compared(
    views: Views, database_url: str
) -> None:
    execute(database_url, "UPDATE runfold_checkpoints SET position = 1 WHERE projection = 'steps'")
    with pytest.raises(ViewsError, match="catch up"):
        views.verify()


REBUILDER = """
import sys
from projections import Views
with Views(sys.argv[1]) as views:
    while True:
        views.rebuild()
"""


@pytest.mark.kills
def test_a_rebuild_killed_at_any_moment_changes_nothing(
    database_url: str, store: EventStore
) -> None:
    own = open_event_store(database_url)
    for number in range(RUNS):
        stream = f"assistants:run_{number}"
        own.append([Append(stream, 0, [it.event for it in store.read(stream)])])
    chance = random.Random()
    with Views(database_url) as views:
        views.upgrade()
        views.catch_up()
        before = read_answers(views)
        for _ in range(4):
            process = subprocess.Popen([sys.executable, "-c", REBUILDER, database_url], cwd=ROOT)
            time.sleep(chance.uniform(0.3, 1.5))
            process.kill()
            assert process.wait() < 0
            assert read_answers(views) == before
        assert views.verify() == []
        own.append([Append("assistants:run_0", 1, [started(2, stamp=1, since=1)])])
        assert views.catch_up() == 1
        assert views.verify() == []
    own.close()
