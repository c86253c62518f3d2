"""Watched threads of the simulator, and jobs on the application's scheduler."""

import asyncio
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler

from tests.support.tracker_settings import LONG, PLAIN, tracker_of
from tests.support.waiting import until
from tracker.errors import SettingsError
from tracker.simulator import Simulator

pytestmark = pytest.mark.integration


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(parameters=PLAIN, many_active=True) as running:
        yield running


def test_runs_are_found_on_their_thread_and_seen_to_their_ends(
    database_url: str, simulator: Simulator
) -> None:
    thread = simulator.create_thread()
    early = simulator.create_run(thread)
    simulator.cancel(early.run_id)

    async def scenario() -> None:
        async with tracker_of(database_url, simulator) as tracker:
            tracker.watch_thread(thread, every=0.2)
            simulator.parameters = LONG
            late = simulator.create_run(thread)
            await until(lambda: late.run_id in [state.run_id for state in tracker.watching])
            assert len(tracker.history(early.run_id)) >= 2
            tracker.unwatch_thread(thread)
            unseen = simulator.create_run(thread)
            await asyncio.sleep(1.0)
            assert [state.run_id for state in tracker.watching] == [late.run_id]
        # Threads are to be named again; the runs that were found on them are not.
        async with tracker_of(database_url, simulator) as tracker:
            assert [state.run_id for state in tracker.watching] == [late.run_id]
            tracker.watch_thread(thread, every=0.2)
            await until(lambda: len(tracker.watching) == 2)
            simulator.cancel(unseen.run_id)
            simulator.cancel(late.run_id)
            assert (await tracker.wait(unseen.run_id, timeout=300)).status == "cancelled"

    asyncio.run(scenario())


def test_a_run_that_never_ends_is_overdue_and_stays_open(simulator: Simulator) -> None:
    simulator.parameters = LONG
    run = simulator.create_run()
    body = simulator.body(run.run_id) | {"expires_at": int(simulator.clock.now()) - 60}

    async def scenario() -> None:
        async with tracker_of("memory://", simulator) as tracker:
            tracker.observe(body)
            assert tracker.overdue == []
            with pytest.raises(TimeoutError):
                await tracker.wait(run.run_id, timeout=0.01)
            assert [state.run_id for state in tracker.overdue] == [run.run_id]
            assert not tracker.overdue[0].is_ended

    asyncio.run(scenario())


def test_jobs_go_on_a_scheduler_of_the_application_and_are_taken_out(
    tmp_path: Path, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    # One that keeps its jobs in a database and runs them in threads: neither is for ours.
    url = f"sqlite:///{tmp_path}/jobs.db"
    ours = AsyncIOScheduler(
        jobstores={"default": SQLAlchemyJobStore(url=url)},
        executors={"default": ThreadPoolExecutor(1)},
        timezone="UTC",
    )
    run = simulator.create_run()

    async def scenario() -> None:
        ours.start()
        ours.add_job(print, "interval", seconds=1000, id="theirs")
        tracker = tracker_of("memory://", simulator, scheduler=ours)
        tracker.every(1000, list, name="regular work")
        async with tracker:
            assert {job.name for job in ours.get_jobs()} == {"print", "regular work"}
            await tracker.watch(run.thread_id, run.run_id)
            assert (await tracker.wait(run.run_id, timeout=300)).status == "completed"
        assert ours.running
        assert [job.id for job in ours.get_jobs()] == ["theirs"]
        # Two at once, and one after the other.
        two = [tracker_of("memory://", simulator, scheduler=ours) for _ in range(2)]
        for each in two:
            each.every(1000, list, name="regular work")
        async with two[0], two[1]:
            assert len(ours.get_jobs()) == 3
        assert len(ours.get_jobs()) == 1
        ours.shutdown(wait=False)
        await asyncio.sleep(0)

    asyncio.run(scenario())
    with sqlite3.connect(tmp_path / "jobs.db") as connection:
        assert connection.execute("SELECT id FROM apscheduler_jobs").fetchall() == [("theirs",)]
    connection.close()
    assert [said for said in caplog.messages if "Running job" in said] == []


def test_a_scheduler_may_start_later_or_stop_earlier(simulator: Simulator) -> None:
    run = simulator.create_run()

    async def scenario() -> None:
        late = AsyncIOScheduler(timezone="UTC")
        async with tracker_of("memory://", simulator, scheduler=late) as tracker:
            await tracker.watch(run.thread_id, run.run_id)
            assert not late.running
            late.start()
            await tracker.wait(run.run_id, timeout=300)
            late.shutdown(wait=False)
            await asyncio.sleep(0)
        never = AsyncIOScheduler(timezone="UTC")
        async with tracker_of("memory://", simulator, scheduler=never):
            pass
        assert never.get_jobs() == []
        with pytest.raises(SettingsError, match="not BackgroundScheduler"):
            async with tracker_of("memory://", simulator, scheduler=BackgroundScheduler()):
                pass

    asyncio.run(scenario())
