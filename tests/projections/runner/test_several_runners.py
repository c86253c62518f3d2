"""Several runners, and a kill: each event is applied once."""

import multiprocessing
import os
import signal
import threading
import time

import pytest
from sqlalchemy import Connection, text

from projections import Views
from projections.database.engine import open_engine
from projections.database.migrations import upgrade
from projections.folding.batch_fold import BatchFold
from projections.projectors.projection import Target
from projections.projectors.runs import RunsBatch, RunsProjection
from projections.runner.catch_up import catch_up
from tests.support.generated_runs import second
from tests.support.reference_fold import ALL, fold_tables, many_runs, read_tables
from tests.support.run_builder import created
from tracker.core import events as e
from tracker.event_store import Append, open_event_store

pytestmark = pytest.mark.integration

BATCH = 25


def _run_one(url: str, counts: "multiprocessing.Queue[int]") -> None:
    engine, store = open_engine(url), open_event_store(url)
    counts.put(catch_up(engine, store, ALL, batch=BATCH))
    engine.dispose()
    store.close()


@pytest.mark.kills
def test_three_processes_and_a_kill_apply_each_event_once(database_url: str) -> None:
    engine, store = open_engine(database_url, create=True), open_event_store(database_url)
    upgrade(engine)
    steps = many_runs(300)
    for start in range(0, len(steps), 200):
        store.append(steps[start : start + 200])

    spawn = multiprocessing.get_context("spawn")
    victim = spawn.Process(target=_run_until_killed, args=(database_url,))
    victim.start()
    victim.join(120)
    assert victim.exitcode == -signal.SIGKILL

    counts: multiprocessing.Queue[int] = spawn.Queue()
    runners = [spawn.Process(target=_run_one, args=(database_url, counts)) for _ in range(3)]
    for process in runners:
        process.start()
    applied = [counts.get(timeout=300) for _ in runners]
    for process in runners:
        process.join(120)
        assert process.exitcode == 0
    assert sum(applied) == len(steps) - 2 * BATCH
    assert catch_up(engine, store, ALL) == 0
    assert read_tables(engine) == fold_tables(store)
    counts.close()
    engine.dispose()
    store.close()


def _run_until_killed(url: str) -> None:
    """Catches up, and is killed before it commits its third batch."""

    class KilledProjection(RunsProjection):
        batches = 0

        def start_batch(self, fold: BatchFold) -> RunsBatch:
            self.batches += 1
            return KilledBatch(fold) if self.batches == 3 else RunsBatch(fold)

    class KilledBatch(RunsBatch):
        def write(self, connection: Connection, target: Target) -> None:
            super().write(connection, target)
            os.kill(os.getpid(), signal.SIGKILL)

    projections = (*ALL[1:], KilledProjection())
    catch_up(open_engine(url), open_event_store(url), projections, batch=BATCH)


def test_threads_share_the_work(database_url: str) -> None:
    store = open_event_store("memory://")
    store.append(many_runs(100))
    with Views(database_url, store=store) as views:
        views.upgrade()
        counts: list[int] = []
        threads = [threading.Thread(target=lambda: counts.append(views.catch_up())) for _ in "123"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert sum(counts) == 500
        assert [it.version for it in views.runs(limit=None)] == [5] * 100


def test_followers_keep_the_tables_up_between_them(database_url: str) -> None:
    store = open_event_store(database_url)
    with Views(database_url) as views:
        views.upgrade()
    stop = threading.Event()

    def follow() -> None:
        with Views(database_url) as views:
            views.follow(stop, every=0.01)

    followers = [threading.Thread(target=follow) for _ in range(2)]
    for follower in followers:
        follower.start()
    with Views(database_url) as views:
        for number in range(20):
            run_id = f"run_{number}"
            store.append([Append(f"assistants:{run_id}", 0, [created(run_id=run_id)])])
            until = time.monotonic() + 120
            while len(views.runs(limit=None)) != number + 1:
                assert time.monotonic() < until
                time.sleep(0.005)
        stop.set()
        for follower in followers:
            follower.join()
        assert views.catch_up() == 0
        assert views.verify() == []
    store.close()


def test_rows_that_are_refused_leave_a_follower_following(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_event_store(database_url)
    with Views(database_url) as views:
        views.upgrade()
        engine = open_engine(database_url)
        with engine.begin() as connection:
            connection.execute(text("CREATE UNIQUE INDEX fussy ON run_steps (type)"))
        stop = threading.Event()
        follower = threading.Thread(target=views.follow, args=(stop,), kwargs={"every": 0.05})
        follower.start()
        step = e.RunStepRecorded(observed_at=second(2), step_id="s", type="t", status="completed")
        for number in range(4):
            run_id = f"run_{number}"
            events = [created(run_id=run_id), *([step] if number < 3 else [])]
            store.append([Append(f"assistants:{run_id}", 0, events)])
        until = time.monotonic() + 120
        while {run.run_id for run in views.runs(limit=None)} != {"run_0", "run_3"}:
            assert time.monotonic() < until
            time.sleep(0.005)
        stop.set()
        follower.join()
        warnings = [it.getMessage() for it in caplog.records if it.levelname == "WARNING"]
        assert len(warnings) == 2
        assert "assistants:run_1 is set aside, and left out of runs, phases," in warnings[0]
        assert [it.run_key for it in views.doctor().set_aside] == [
            "assistants:run_1",
            "assistants:run_2",
        ]
        with engine.begin() as connection:
            connection.execute(text("DROP INDEX fussy"))
        assert views.retry().completed == 2
        assert len(views.runs(limit=None)) == 4
        assert views.verify() == []
        engine.dispose()
    store.close()
