"""The backlog of step reads does not grow where runs end all the time.

The world of the benchmark at a quarter: 25 active runs, 250 requests a minute.
"""

import asyncio

import pytest

from tests.benchmarks.polled_service import Traffic
from tests.benchmarks.polling_policy import Polled
from tests.benchmarks.virtual_time import VirtualClock, run

pytestmark = pytest.mark.seeds


def test_the_backlog_of_step_reads_stays_small() -> None:
    async def scenario(clock: VirtualClock) -> list[int]:
        polled = Polled(Traffic(25, per_minute=250.0, burst=12.0, warm=300.0), 0, clock, 0.0)
        waiting: list[int] = []

        async def count() -> None:
            while True:
                await asyncio.sleep(30.0)
                waiting.append(polled.poller.step_reads.waiting)

        counting = asyncio.create_task(count())
        await polled.outcome()
        counting.cancel()
        return waiting

    waiting = run(scenario)
    # A run ends each two seconds, and their reserve is full once they have waited for 20 s.
    assert max(waiting) <= 35
    # Without growth: as many wait in the last minutes as before.
    assert max(waiting[-4:]) <= max(waiting[:-4]) + 8
    # There is a moment at which no more wait than before.
    assert min(waiting[-4:]) <= max(waiting[:-4])
