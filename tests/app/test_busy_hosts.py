"""A tracker in a program whose clock is set, and whose worker threads are all busy."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import time_machine

from tests.support.tracker_pairs import Counting
from tests.support.tracker_settings import LONG, PLAIN, QUICK
from tests.support.waiting import until
from tracker import Delivery, Tracker
from tracker.core.events import RunCompleted
from tracker.polling.policy.cadence import Cadence
from tracker.simulator import Simulator

pytestmark = pytest.mark.integration

STEPS = [timedelta(hours=-1), timedelta(seconds=-60), timedelta(seconds=60), timedelta(hours=1)]
RUNS = 50
PATIENCE = 60.0


def test_a_clock_that_is_set_stops_neither_polls_nor_jobs(
    database_url: str, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "runfold.leases")
    simulator.parameters = LONG
    source, turns = Counting(simulator.base_url), []
    tracker = Tracker(database_url, source, cadence=Cadence(shortest=0.2, longest=1.0, start=200.0))
    tracker.every(0.1, lambda: turns.append(1), name="regular work")

    async def scenario(clock: time_machine.Traveller) -> None:
        runs = [simulator.create_run(simulator.create_thread()) for _ in range(RUNS)]
        async with tracker:
            for run in runs:
                await tracker.watch(run.thread_id, run.run_id)
            await until(lambda: len(source.asked) == RUNS, PATIENCE)
            for step in STEPS:
                clock.shift(step)
                asked, done = source.asked.total(), len(turns)
                await until(lambda asked=asked: source.asked.total() > asked + RUNS, PATIENCE)
                await until(lambda done=done: len(turns) > done + 2, PATIENCE)
            assert tracker.troubles == {}
            for run in runs[:3]:
                simulator.cancel(run.run_id)
                assert (await tracker.wait(run.run_id, timeout=PATIENCE)).status == "cancelled"

    with time_machine.travel(datetime.now(UTC), tick=True) as clock:
        asyncio.run(scenario(clock))
    assert "0 held" not in caplog.text


# By address and by name: an event loop looks names up in the threads of the host.
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_busy_threads_of_the_host_stop_nothing(
    database_url: str, simulator: Simulator, host: str
) -> None:
    simulator.parameters = PLAIN
    base_url = simulator.base_url.replace("127.0.0.1", host)
    tracker = Tracker(database_url, Counting(base_url), cadence=QUICK)
    ended: list[str] = []

    @tracker.on(RunCompleted)
    def note(delivery: Delivery) -> None:
        ended.append(delivery.run_id)

    async def scenario(free: threading.Event) -> None:
        loop = asyncio.get_running_loop()
        blocked = [loop.run_in_executor(None, free.wait) for _ in range(100)]
        try:
            async with tracker:
                run = await tracker.runs.create(simulator.create_thread(), assistant_id="asst_1")
                assert (await tracker.wait(run.id, timeout=PATIENCE)).status == "completed"
                await until(lambda: ended == [run.id], PATIENCE)
                moments = [entry.event.observed_at for entry in tracker.history(run.id)]
                assert all(earlier <= later for earlier, later in pairwise(moments))
        finally:
            free.set()
        await asyncio.gather(*blocked)

    asyncio.run(scenario(threading.Event()))
