"""Regular jobs of an application on the scheduler of a tracker, on real databases."""

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from projections import Views
from tests.support.tracker_settings import QUICK
from tests.support.waiting import PATIENCE, until
from tracker import Tracker
from tracker.errors import SettingsError, StoreUnavailable
from tracker.runtime import jobs
from tracker.simulator import Parameters, Simulator
from tracker.sources import Assistants

pytestmark = pytest.mark.integration

PLAIN = Parameters.ending("completed", action=0.0, time_scale=0.02, stretched=0.0)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(parameters=PLAIN, api_key="key-4f1d9c22b7") as running:
        yield running


def opened(url: str, simulator: Simulator, scheduler: AsyncIOScheduler | None = None) -> Tracker:
    api = Assistants(simulator.base_url, api_key="key-4f1d9c22b7")
    return Tracker(url, api, cadence=QUICK, scheduler=scheduler)


@pytest.mark.parametrize("handed_in", [False, True])
def test_tables_are_kept_and_pruned_by_jobs(
    database_url: str, simulator: Simulator, handed_in: bool
) -> None:
    async def main(views: Views) -> None:
        scheduler = AsyncIOScheduler(timezone="UTC") if handed_in else None
        tracker = opened(database_url, simulator, scheduler)
        tracker.every(0.1, views.catch_up)
        async with tracker:
            if scheduler is not None:
                scheduler.start()
            run = await tracker.runs.create(simulator.create_thread(), assistant_id="asst_1")
            assert (await tracker.wait(run.id, timeout=PATIENCE)).status == "completed"
            await until(lambda: [it.status for it in views.runs()] == ["completed"])
            tracker.every(0.1, lambda: views.prune(timedelta(0)), name="retention")
            await until(lambda: views.runs() == [])
            assert views.usage()[0].runs == 1
            assert tracker.watching == []
        if scheduler is not None:
            assert scheduler.get_jobs() == []
            scheduler.shutdown()

    with Views(database_url) as views:
        views.upgrade()
        asyncio.run(main(views))
        assert views.verify() == []


def test_a_job_that_takes_long_never_runs_twice_at_once(simulator: Simulator) -> None:
    running: list[int] = []
    together: list[int] = []

    def job() -> None:
        running.append(1)
        together.append(len(running))
        time.sleep(0.1)
        running.pop()

    async def main() -> None:
        tracker = opened("memory://", simulator)
        tracker.every(0.01, job)
        async with tracker:
            await until(lambda: len(together) >= 3)
        # The one that was under way at the end was let finish, and no other began.
        assert running == []
        ran = len(together)
        await asyncio.sleep(0.1)
        assert (set(together), len(together)) == ({1}, ran)

    asyncio.run(main())


def test_what_a_job_raises_is_logged_and_it_runs_again(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[str] = []

    async def fails() -> None:
        ran.append("fails")
        raise StoreUnavailable("the database is away")

    def breaks() -> None:
        ran.append("breaks")
        raise LookupError("nothing there")

    async def cancels_itself() -> None:
        ran.append("cancels")
        raise asyncio.CancelledError

    async def asks(sources: list[str]) -> None:
        ran.extend(sources)

    async def main() -> None:
        tracker = opened("memory://", simulator)
        for job in (fails, breaks, cancels_itself):
            tracker.every(0.02, job)
        async with tracker:
            tracker.every(0.02, lambda: asks([*tracker.sources_status()]), name="asks")
            await until(lambda: all(ran.count(it) > 2 for it in ("fails", "breaks", "cancels")))
            await until(lambda: ran.count("assistants") > 2)
            assert tracker.sources_status()["assistants"].failed == 0

    with caplog.at_level(logging.INFO, "runfold.jobs"):
        asyncio.run(main())
    said = {it.getMessage(): it.exc_info for it in caplog.records if it.name == "runfold.jobs"}
    again = "failed, and runs again when it is next due"
    assert not said[f"the job 'fails' {again}: the database is away"]
    assert said[f"the job 'breaks' {again}: nothing there"]
    # Nor does APScheduler say each time that one still runs.
    assert [it for it in caplog.records if it.name.startswith("apscheduler.exec")] == []


def test_one_that_is_left_as_soon_as_it_is_entered_says_nothing(
    database_url: str, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    async def job() -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        tracker = opened(database_url, simulator)
        tracker.every(60, job)
        for _ in range(3):
            async with tracker:
                pass

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert caplog.records == []


def test_jobs_of_a_tracker_in_the_background(database_url: str, simulator: Simulator) -> None:
    tracker = opened(database_url, simulator).in_background()
    ran, seen = threading.Event(), threading.Event()
    under_way, may_end = threading.Event(), threading.Event()

    def job() -> None:
        assert tracker.watching == []
        ran.set()

    def slow() -> None:
        under_way.set()
        may_end.wait(PATIENCE)
        # Still open: what is under way at the end may need it.
        assert tracker.sources_status()["assistants"].watched == 0
        seen.set()

    tracker.every(0.05, job)
    for _ in range(2):
        ran.clear()
        with tracker:
            assert ran.wait(PATIENCE)
    with tracker:
        tracker.every(0.05, slow)
        assert under_way.wait(PATIENCE)
        threading.Timer(1.0, may_end.set).start()
    assert seen.is_set()


def test_one_that_does_not_end_is_left_in_the_end(
    simulator: Simulator, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "STOP_SECONDS", 0.2)
    began, cut_short = asyncio.Event(), asyncio.Event()

    async def never_ends() -> None:
        began.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        cut_short.set()

    async def main() -> None:
        async with opened("memory://", simulator) as tracker:
            tracker.every(1, never_ends)
            await asyncio.wait_for(began.wait(), PATIENCE)
        assert cut_short.is_set()

    asyncio.run(main())
    assert "the job 'never_ends' has not finished in 0 s and is cancelled" in caplog.text


def test_what_cannot_be_run_is_refused(simulator: Simulator) -> None:
    tracker = opened("memory://", simulator)
    with pytest.raises(SettingsError, match="without calling it"):
        tracker.every(1, 5)  # type: ignore[arg-type]
    for seconds in (0, -1, float("nan"), float("inf")):
        with pytest.raises(SettingsError, match="has to be above 0"):
            tracker.every(seconds, print)
