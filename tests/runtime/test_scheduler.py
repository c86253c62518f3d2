"""The scheduler: its jobs run, and stopping it logs nothing about a running one."""

import asyncio

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from tracker.runtime.clock import SystemClock
from tracker.runtime.scheduler import Scheduler


@pytest.mark.parametrize("ours", [True, False])
def test_a_job_that_is_under_way_at_the_stop_is_not_logged_as_failed(
    ours: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        given = None if ours else AsyncIOScheduler(timezone="UTC")
        scheduler = Scheduler(SystemClock(), given)
        begun, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def job() -> None:
            begun.set()
            await go_on.wait()
            ended.set()

        scheduler.every(0.01, job, "job")
        scheduler.start()
        if given is not None:
            given.start()
        await asyncio.wait_for(begun.wait(), 120)
        scheduler.stop()
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.wait_for(ended.wait(), 120)
        await asyncio.sleep(0.05)
        if given is not None:
            given.shutdown(wait=False)

    asyncio.run(scenario())
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
