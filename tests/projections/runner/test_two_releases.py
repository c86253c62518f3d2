"""Two releases side by side, and transactions that meet: nothing is folded by the wrong one."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text, update

from projections import Views
from projections.database.conflicts import retry_conflicts
from projections.database.engine import open_engine
from projections.database.schema import runs
from projections.folding.batch_fold import BatchFold
from projections.projectors.phases import PhasesProjection
from projections.projectors.projection import Target
from projections.projectors.runs import RunsBatch, RunsProjection
from projections.runner.catch_up import catch_up
from projections.runner.rebuild import rebuild
from tests.support.reference_fold import many_runs
from tests.support.run_builder import created
from tracker.errors import SchemaError, StoreUnavailable
from tracker.event_store import Append, EventStore, open_event_store

pytestmark = pytest.mark.integration

RUNS = 5
NEWER_MODEL = "as version 2 has it"
# The statement by which a swap removes the old rows.
REMOVAL = {"sqlite": 'DROP TABLE "{}"', "postgresql": 'DELETE FROM "{}"'}


class NewerRuns(RunsProjection):
    """The projection of a newer release, whose rows differ."""

    version = 2

    def start_batch(self, fold: BatchFold) -> RunsBatch:
        return NewerBatch(fold)


class NewerBatch(RunsBatch):
    def write(self, connection: Connection, target: Target) -> None:
        super().write(connection, target)
        connection.execute(update(target(runs)).values(model=NEWER_MODEL))


@pytest.fixture
def store(database_url: str) -> Iterator[EventStore]:
    # In memory, since events of the same SQLite file would wait for the swap.
    store = open_event_store("memory://")
    store.append(many_runs(RUNS))
    with Views(database_url, store=store) as views:
        views.upgrade()
        views.catch_up()
    yield store
    store.close()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


def append_run(store: EventStore, run_id: str) -> None:
    store.append([Append(f"assistants:{run_id}", 0, [created(run_id=run_id)])])


def on_removal(engine: Engine, table: str, act: Callable[[], object]) -> None:
    """Calls `act` once, within the transaction of a swap, after it has removed the old rows."""
    removal = REMOVAL[engine.dialect.name].format(table)
    is_done: list[bool] = []

    @event.listens_for(engine, "after_cursor_execute")
    def _look(connection: Any, cursor: Any, statement: str, *_: object) -> None:
        if statement == removal and not is_done:
            is_done.append(True)
            act()


class Follower(threading.Thread):
    """A follower of this release, in a thread that keeps its error."""

    def __init__(self, url: str, store: EventStore) -> None:
        super().__init__()
        self.url, self.store = url, store
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            with Views(self.url, store=self.store) as views:
                views.catch_up()
        except Exception as error:
            self.error = error

    def wait_until_blocked(self, url: str) -> None:
        """Returns once the follower waits for a lock; at once on SQLite, which does not say."""
        if url.startswith("sqlite"):
            return
        watcher = open_engine(url)
        query = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        until = time.monotonic() + 60
        while time.monotonic() < until and self.is_alive():
            with watcher.connect() as connection:
                if connection.execute(query).scalar():
                    break
            time.sleep(0.01)
        watcher.dispose()


def models(engine: Engine) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        query = text("SELECT run_id, model FROM runs ORDER BY run_id")
        return [tuple(row) for row in connection.execute(query)]


def test_an_event_in_the_swap_of_a_newer_release(
    database_url: str, engine: Engine, store: EventStore
) -> None:
    followers: list[Follower] = []

    def come_between() -> None:
        append_run(store, "run_between")
        followers.append(Follower(database_url, store))
        followers[0].wait_until_blocked(database_url)

    on_removal(engine, "runs", come_between)
    rebuild(engine, store, [NewerRuns()])
    [older] = followers
    older.join(60)
    assert isinstance(older.error, SchemaError)
    assert "newer release" in str(older.error)
    assert len(models(engine)) == RUNS
    assert catch_up(engine, store, [NewerRuns()]) == 1
    found = models(engine)
    assert ("run_between", NEWER_MODEL) in found
    assert {model for _, model in found} == {NEWER_MODEL}


def test_an_older_release_does_not_replace_newer_tables(engine: Engine, store: EventStore) -> None:
    started: list[bool] = []

    def overtake(position: int, last: int) -> None:
        if not started:
            started.append(True)
            rebuild(engine, store, [NewerRuns()])

    with pytest.raises(SchemaError, match="newer release"):
        rebuild(engine, store, [RunsProjection()], progress=overtake)
    with pytest.raises(SchemaError, match="newer release"):
        rebuild(engine, store, [RunsProjection()])
    assert {model for _, model in models(engine)} == {NEWER_MODEL}
    append_run(store, "run_later")
    assert catch_up(engine, store, [NewerRuns()]) == 1
    assert len(models(engine)) == RUNS + 1


def test_a_rebuild_that_another_one_began_again_is_not_swapped_in_early(
    engine: Engine, store: EventStore
) -> None:
    resets: list[bool] = []

    def reset(position: int, last: int) -> None:
        if position == last and not resets:
            resets.append(True)
            with engine.begin() as connection:
                connection.execute(text("DELETE FROM runfold_shadow_runs"))
                begin = "UPDATE runfold_checkpoints SET position = 0 "
                connection.execute(text(f"{begin} WHERE projection = 'runs (rebuild)'"))

    rebuild(engine, store, [RunsProjection()], progress=reset)
    assert len(models(engine)) == RUNS
    assert resets


def test_a_rebuild_in_another_order_meets_a_follower(
    database_url: str, engine: Engine, store: EventStore
) -> None:
    followers: list[Follower] = []
    conflicts: list[str] = []
    event.listen(engine, "handle_error", lambda context: conflicts.append(str(context)))

    def come_between() -> None:
        append_run(store, "run_between")
        followers.append(Follower(database_url, store))
        followers[0].wait_until_blocked(database_url)

    on_removal(engine, "run_phases", come_between)
    rebuild(engine, store, [PhasesProjection(), RunsProjection()])
    followers[0].join(60)
    assert conflicts == []
    assert followers[0].error is None
    with Views(database_url, store=store) as views:
        views.catch_up()
        assert len(views.runs(limit=None)) == RUNS + 1
        assert views.verify() == []


def fail_some(engine: Engine, when: str, times: int, state: str) -> None:
    """Makes the table of runs fail some times with an SQLSTATE."""
    with engine.begin() as connection:
        for statement in (
            "CREATE SEQUENCE tries",
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF nextval('tries') <= {times} THEN "
            f"RAISE EXCEPTION 'it met another one' USING ERRCODE = '{state}'; END IF; "
            "RETURN NULL; END $$",
            f"CREATE TRIGGER failing AFTER {when} ON runs EXECUTE FUNCTION fail()",
        ):
            connection.exec_driver_sql(statement)


@pytest.mark.parametrize("state", ["40001", "40P01"])
@pytest.mark.parametrize("when", ["INSERT", "DELETE"])
def test_conflicts_are_tried_again(postgres_db: str, state: str, when: str) -> None:
    store, engine = open_event_store(postgres_db), open_engine(postgres_db)
    store.append(many_runs(RUNS))
    with Views(postgres_db) as views:
        views.upgrade()
        fail_some(engine, when, 3, state)
        views.catch_up()
        views.rebuild("runs", "phases")
        assert len(views.runs(limit=None)) == RUNS
        assert views.verify() == []
        with engine.connect() as connection:
            assert connection.execute(text("SELECT last_value FROM tries")).scalar() > 3
    engine.dispose()
    store.close()


def test_conflicts_without_end_are_given_up(postgres_db: str) -> None:
    store, engine = open_event_store(postgres_db), open_engine(postgres_db)
    store.append(many_runs(RUNS))
    with Views(postgres_db) as views:
        views.upgrade()
        fail_some(engine, "INSERT", 1000, "40001")
        with pytest.raises(StoreUnavailable, match="it met another one"):
            views.catch_up()
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP TRIGGER failing ON runs")
        views.catch_up()
        assert len(views.runs(limit=None)) == RUNS
    engine.dispose()
    store.close()


def test_other_errors_are_not_tried_again() -> None:
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        retry_conflicts(fail)
    assert calls == [1]
    assert retry_conflicts(lambda: 7) == 7
