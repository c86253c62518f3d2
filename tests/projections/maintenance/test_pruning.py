"""Pruning of old runs: they stay out of the tables, and all else stays correct."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from projections import Views
from projections.database.engine import open_engine
from projections.database.schema import runs
from projections.maintenance.pruning import Pruned, prune
from projections.maintenance.verify import verify
from projections.runner.catch_up import catch_up
from projections.views import PROJECTIONS
from tests.support.paths import ROOT
from tests.support.reference_fold import open_migrated, read_tables
from tests.support.run_builder import BIRTH, created, ended, second, started, waiting
from tracker.core import events as e
from tracker.core.usage import Usage
from tracker.errors import SettingsError, UnknownRun, ViewsError
from tracker.event_store import Append, EventStore, open_event_store

pytestmark = pytest.mark.integration


RUNS = 40


STEP = e.RunStepRecorded(
    observed_at=second(500),
    step_id="s",
    type="message_creation",
    status="completed",
    created_at=second(1),
    ended_at=second(2),
)


LATE = e.RunUsageReported(observed_at=second(600), usage=Usage(total_tokens=70))


def make_run(number: int) -> list[Append]:
    """Returns a run that ended `number` minutes after the first one; every fourth stays open."""
    run_id, key = f"run_{number}", f"assistants:run_{number}"
    late = timedelta(minutes=number)
    events: list[e.Event] = [
        created(run_id=run_id, occurred_at=BIRTH + late),
        started(2, stamp=1, since=1),
        waiting(10, since=8),
        STEP,
    ]
    if number % 4:
        end = ended(e.RunCompleted, 20, stamp=19, since=12, usage=Usage(total_tokens=7))
        moved = {"occurred_at": second(19) + late, "previous": "requires_action"}
        events.append(end.model_copy(update=moved))
    return [Append(key, version, [event]) for version, event in enumerate(events)]


@pytest.fixture
def store() -> Iterator[EventStore]:
    store = open_event_store("memory://")
    store.append([append for number in range(RUNS) for append in make_run(number)])
    yield store
    store.close()


@pytest.fixture
def views(database_url: str, store: EventStore) -> Iterator[Views]:
    with Views(database_url, store=store) as views:
        views.upgrade()
        views.catch_up()
        yield views


def read_rollups(views: Views) -> list[object]:
    return [
        views.usage(by="day"),
        views.usage(by=("model", "outcome")),
        views.timing(),
        views.cost(by=("day", "model")),
    ]


def test_what_ended_before_goes_and_stays_away(views: Views, store: EventStore) -> None:
    before, everything = read_rollups(views), views.status_counts()
    cut = BIRTH + timedelta(minutes=20)
    assert views.prune(cut, dry_run=True) == Pruned(15, 30, 15, 15)
    assert len(views.runs(limit=None)) == RUNS
    assert views.prune(cut) == Pruned(15, 30, 15, 15)
    assert views.prune(cut) == views.prune(cut - timedelta(days=1)) == Pruned(0, 0, 0, 0)

    def check(tokens: int) -> None:
        left = views.runs(limit=None)
        assert len(left) == RUNS - 15
        assert all(run.ended_at is None or run.ended_at >= cut for run in left)
        assert len(views.actions()) == RUNS - 15
        assert [len(views.steps(run.run_id)) for run in left] == [1] * len(left)
        assert views.usage(by=None)[0].total_tokens == tokens
        assert views.status_counts() == everything
        assert views.verify() == []
        assert views.as_of(store.last_position()).runs(limit=None) == left

    check(30 * 7)
    assert read_rollups(views) == before
    # Late events of a pruned run are counted once and do not restore its rows.
    store.append([Append("assistants:run_1", 5, [LATE])])
    store.append([Append("assistants:run_1", 6, [STEP.model_copy(update={"step_id": "t"})])])
    views.catch_up()
    check(30 * 7 + 63)
    for names in (["steps"], ["usage", "timing"], ["runs", "actions"], []):
        views.rebuild(*names)
        check(30 * 7 + 63)
    with pytest.raises(UnknownRun, match="may be pruned"):
        views.run("run_1")


def test_a_run_that_is_learnt_of_late_only_counts(views: Views, store: EventStore) -> None:
    views.prune(BIRTH + timedelta(minutes=20))
    old, open_before = make_run(1), make_run(4)
    late = [append._replace(stream="other:run_1") for append in old]
    late[0] = Append("other:run_1", 0, [created(run_id="run_1", source="other")])
    end = ended(e.RunCancelled, 70, stamp=30, since=12, previous="requires_action")
    store.append([*late, Append(open_before[0].stream, 4, [end])])
    views.catch_up()
    assert len(views.runs(limit=None)) == len(views.actions()) == RUNS - 16
    assert len(views.runs(source="other")) == 0
    assert views.usage(by="source")[1].runs == 1
    assert views.usage(by="outcome")[0].group == {"outcome": "cancelled"}
    assert views.verify() == []


def test_only_what_is_past_is_pruned(views: Views) -> None:
    with pytest.raises(SettingsError, match="is in the future"):
        views.prune(datetime.now(UTC) + timedelta(hours=1))
    with pytest.raises(SettingsError, match="is in the future"):
        views.prune(timedelta(days=-1))
    with pytest.raises(SettingsError, match="needs a time zone"):
        views.prune(datetime(2026, 1, 1))  # noqa: DTZ001
    assert len(views.runs(limit=None)) == RUNS


def test_a_rebuild_that_has_begun_comes_first(views: Views, database_url: str) -> None:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        values = "('phases (rebuild)', 3, 1, NULL, NULL, NULL)"
        connection.execute(text(f"INSERT INTO runfold_checkpoints VALUES {values}"))
    with pytest.raises(ViewsError, match="runfold rebuild phases"):
        views.prune(BIRTH + timedelta(minutes=20))
    engine.dispose()
    assert len(views.runs(limit=None)) == RUNS


def test_a_transaction_is_small_and_finds_its_runs_by_an_index(
    database_url: str, store: EventStore
) -> None:
    engine = open_migrated(database_url)
    catch_up(engine, store, PROJECTIONS)
    statements: list[Any] = []

    @event.listens_for(engine, "before_cursor_execute")
    def record_statement(
        _c: Any, _cursor: Any, sql: str, parameters: Any, _context: Any, _m: bool
    ) -> None:
        statements.append((sql, parameters))

    assert prune(engine, PROJECTIONS, second(3600), 4).runs == 30
    deletes = [it for it in statements if it[0].startswith('DELETE FROM "runs"')]
    assert len(deletes) == 8
    reads = [it for it in statements if "ended_at" in it[0] and it[0].startswith("SELECT")]
    engine.dispose()
    engine = open_engine(database_url)
    with engine.begin() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        if not is_sqlite:
            # PostgreSQL would read so few rows without an index.
            connection.exec_driver_sql("SET enable_seqscan = off")
        others = [it for it in statements if it[0].startswith('DELETE FROM "run_')]
        for sql, parameters in (deletes[1], reads[0], *others[:3]):
            explain = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
            plan = str(connection.exec_driver_sql(explain + sql, parameters).all())
            assert "Seq Scan" not in plan
            assert "SCAN" not in plan.replace("SCAN json_each", "")
            assert ("ix_runs_ended_at" in plan) == ("ended_at" in sql)
    engine.dispose()


def test_runs_of_one_moment_go_together(database_url: str) -> None:
    engine, store = open_migrated(database_url), open_event_store("memory://")
    for number in range(9):
        end = ended(e.RunFailed, 3, stamp=1 + number // 7, since=1)
        first = created(run_id=f"run_{number}")
        store.append([Append(f"assistants:run_{number}", 0, [first, end])])
    catch_up(engine, store, PROJECTIONS)
    assert prune(engine, PROJECTIONS, second(100), 2).runs == 9
    engine.dispose()


PRUNER = """
import os, signal, sys
from datetime import datetime
from sqlalchemy import event
from projections.database.engine import open_engine
from projections.database.schema import runs
from projections.maintenance.pruning import prune
from projections.views import PROJECTIONS
engine, left = open_engine(sys.argv[1]), int(sys.argv[3])
@event.listens_for(engine, "after_cursor_execute")
def die(connection, cursor, sql, *more):
    global left
    left -= sql.startswith("DELETE")
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
prune(engine, PROJECTIONS, datetime.fromisoformat(sys.argv[2]), 4)
"""


def test_a_kill_leaves_tables_that_are_proved(database_url: str, store: EventStore) -> None:
    engine = open_migrated(database_url)
    catch_up(engine, store, PROJECTIONS)
    cut = second(3600)
    for number in (6, 11):
        command = [sys.executable, "-c", PRUNER, database_url, cut.isoformat(), str(number)]
        assert subprocess.run(command, cwd=ROOT, timeout=300).returncode == -signal.SIGKILL
        assert verify(engine, store, PROJECTIONS) == []
    # The first run committed one transaction, the second run two.
    assert len(read_tables(engine)["runs"]) == RUNS - 3 * 4
    assert prune(engine, PROJECTIONS, cut).runs == 30 - 3 * 4
    assert verify(engine, store, PROJECTIONS) == []
    engine.dispose()


def test_pruning_while_runs_come_in(database_url: str, store: EventStore) -> None:
    engine = open_migrated(database_url)
    done = threading.Event()

    def run() -> None:
        with Views(database_url, store=store) as other:
            while not done.is_set():
                other.catch_up()
            other.catch_up()

    runner = threading.Thread(target=run)
    runner.start()
    for number in range(RUNS, 2 * RUNS):
        store.append(make_run(number))
        if number % 5 == 0:
            prune(engine, PROJECTIONS, BIRTH + timedelta(minutes=number - 10), 2)
    done.set()
    runner.join(120)
    assert not runner.is_alive()
    assert verify(engine, store, PROJECTIONS) == []
    cut = BIRTH + timedelta(minutes=2 * RUNS - 15)
    ended_at = list(runs.c.keys()).index("ended_at")
    ends = [run[ended_at] for run in read_tables(engine)["runs"]]
    assert all(it is None or it >= cut for it in ends)
    engine.dispose()
