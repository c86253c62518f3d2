"""The pace of a source is kept in the database from one tracker to the next."""

import asyncio
from contextlib import closing

import pytest

from tests.support.tracker_settings import LONG
from tests.support.waiting import until
from tracker import Tracker, open_event_store
from tracker.heartbeats.pace_table import paces_in
from tracker.polling.policy.cadence import Cadence
from tracker.simulator import Simulator
from tracker.sources import Assistants

pytestmark = pytest.mark.integration


def test_a_tracker_begins_at_the_rate_that_the_last_one_found(
    database_url: str, simulator: Simulator
) -> None:
    simulator.parameters = LONG

    def make_tracker(start: float) -> Tracker:
        source = Assistants(simulator.base_url, "key")
        return Tracker(database_url, source, cadence=Cadence(start=start))

    async def scenario() -> float:
        async with make_tracker(77.0) as tracker:
            run = simulator.create_run()
            await tracker.watch(run.thread_id, run.run_id)
            await until(lambda: tracker.sources_status()["assistants"].answered_at is not None, 60)
            return tracker.sources_status()["assistants"].rate

    async def restart() -> float:
        async with make_tracker(5.0) as tracker:
            return tracker.sources_status()["assistants"].rate

    with closing(open_event_store(database_url)) as store:
        assert paces_in(store) == {}
        found = asyncio.run(scenario())
        [(name, pace)] = paces_in(store).items()
        assert (name, pace.rate) == ("assistants", found)
    assert found >= 77.0
    assert asyncio.run(restart()) == found
