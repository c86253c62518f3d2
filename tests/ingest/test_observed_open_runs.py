"""An open run that is observed is watched, on both databases and through each door."""

import asyncio

import pytest

from tests.support.tracker_settings import LONG, QUICK
from tests.support.waiting import until
from tracker import Tracker
from tracker.simulator import Simulator
from tracker.sources import Assistants

pytestmark = pytest.mark.integration

PATIENCE = 60.0


def watched(tracker: Tracker) -> set[str]:
    return {state.run_id for state in tracker.watching}


def test_an_open_run_that_is_observed_is_watched_until_it_ends(
    database_url: str, simulator: Simulator
) -> None:
    simulator.parameters = LONG
    source = Assistants(simulator.base_url, "key")

    async def scenario() -> None:
        async with Tracker(database_url, source, cadence=QUICK) as tracker:
            runs = [simulator.create_run() for _ in range(2)]
            assert tracker.observe(simulator.body(runs[0].run_id))
            # From another thread, as a handler of the host does.
            assert await asyncio.to_thread(tracker.observe, simulator.body(runs[1].run_id))
            ids = {run.run_id for run in runs}
            await until(lambda: watched(tracker) == ids, PATIENCE)
            for run_id in ids:
                simulator.cancel(run_id)
            await until(lambda: not watched(tracker), PATIENCE)
            for run_id in ids:
                ends = [entry.event.topic for entry in tracker.history(run_id)]
                assert ends[-1] == "run.cancelled"

    asyncio.run(scenario())


def test_a_run_that_has_ended_is_not(database_url: str, simulator: Simulator) -> None:
    simulator.parameters = LONG
    source = Assistants(simulator.base_url, "key")

    async def scenario() -> None:
        async with Tracker(database_url, source, cadence=QUICK) as tracker:
            ended, going_on = simulator.create_run(), simulator.create_run()
            simulator.cancel(ended.run_id)
            await until(lambda: simulator.body(ended.run_id)["status"] == "cancelled", PATIENCE)
            tracker.observe(simulator.body(ended.run_id))
            tracker.observe(simulator.body(going_on.run_id))
            await until(lambda: watched(tracker) == {going_on.run_id}, PATIENCE)

    asyncio.run(scenario())
