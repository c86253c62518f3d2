"""Steps of runs whose end no poll has shown: a webhook, a file, a call."""

import asyncio
import threading
import time
from typing import Any

import pytest

from tests.support.simulated_steps import steps_of, true_steps
from tests.support.tracker_pairs import Pair, run_pair
from tests.support.tracker_settings import tracker_of
from tracker import Tracker
from tracker.core.events import RunUsageReported
from tracker.polling.run_updates import StepsWhen
from tracker.simulator import Simulator
from tracker.sources import Assistants, LangGraph

pytestmark = pytest.mark.integration


def create_ended_run(simulator: Simulator) -> str:
    """Creates a run that nobody watches, and returns its id once it has ended."""
    run_id = simulator.create_run().run_id
    deadline = time.monotonic() + 120
    while not simulator.truth(run_id).steps or simulator.body(run_id)["usage"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return run_id


def test_an_end_that_is_only_observed_has_its_steps_read_at_once(
    database_url: str, simulator: Simulator
) -> None:
    run_id = create_ended_run(simulator)

    async def scenario() -> None:
        async with tracker_of(database_url, simulator) as tracker:
            tracker.observe(simulator.body(run_id))
            assert await tracker.drain(120)
            assert sorted(steps_of(tracker, run_id)) == true_steps(simulator, run_id)
            asked = sum(simulator.traffic.values())
            # Seen again it is nothing new.
            tracker.observe(simulator.body(run_id))
            assert await tracker.drain(120)
            assert sum(simulator.traffic.values()) == asked == 1

    asyncio.run(scenario())


def test_an_end_observed_in_another_thread_is_one_too(simulator: Simulator) -> None:
    run_id = create_ended_run(simulator)

    async def scenario() -> None:
        async with tracker_of("memory://", simulator) as tracker:
            body = simulator.body(run_id)
            thread = threading.Thread(target=tracker.observe, args=(body,))
            thread.start()
            await asyncio.to_thread(thread.join)
            assert await tracker.drain(120)
            assert sorted(steps_of(tracker, run_id)) == true_steps(simulator, run_id)

    asyncio.run(scenario())


def test_an_end_that_a_call_of_ours_shows_is_one_too(simulator: Simulator) -> None:
    first, second = create_ended_run(simulator), create_ended_run(simulator)

    async def scenario() -> None:
        async with tracker_of("memory://", simulator) as tracker:
            await tracker.runs.retrieve(simulator.truth(first).thread_id, first)
            await tracker.runs.list(simulator.truth(second).thread_id)
            assert await tracker.drain(120)
            for run_id in (first, second):
                assert sorted(steps_of(tracker, run_id)) == true_steps(simulator, run_id)

    asyncio.run(scenario())


def test_a_correction_of_an_end_has_the_steps_read_again(simulator: Simulator) -> None:
    run_id = create_ended_run(simulator)

    async def scenario() -> None:
        async with tracker_of("memory://", simulator) as tracker:
            body = simulator.body(run_id)
            tracker.observe({**body, "usage": None})
            assert await tracker.drain(120)
            asked = sum(simulator.traffic.values())
            [event] = tracker.observe(body)
            assert isinstance(event, RunUsageReported)
            assert await tracker.drain(120)
            assert sum(simulator.traffic.values()) == asked + 1

    asyncio.run(scenario())


@pytest.mark.parametrize(("steps", "asked"), [("never", 0), ("live", 1)])
def test_whether_they_are_read_is_the_users_choice(
    simulator: Simulator, steps: StepsWhen, asked: int
) -> None:
    run_id = create_ended_run(simulator)

    async def scenario() -> None:
        async with tracker_of("memory://", simulator, steps=steps) as tracker:
            tracker.observe(simulator.body(run_id))
            assert await tracker.drain(120)
            assert sum(simulator.traffic.values()) == asked

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "more",
    [
        # Of an archive, whose steps the service may long have forgotten.
        {"created_at": 1_767_225_600, "completed_at": 1_767_225_660, "started_at": None},
        # It cannot be asked about.
        {"thread_id": None},
    ],
)
def test_what_is_old_or_without_a_thread_is_not_asked_about(
    simulator: Simulator, more: dict[str, Any]
) -> None:
    run_id = create_ended_run(simulator)

    async def scenario() -> None:
        async with tracker_of("memory://", simulator) as tracker:
            assert tracker.observe({**simulator.body(run_id), **more})
            assert await tracker.drain(120)
            await asyncio.sleep(0.2)
            assert sum(simulator.traffic.values()) == 0

    asyncio.run(scenario())


def test_a_source_without_steps_is_not_asked_about_them(simulator: Simulator) -> None:
    async def scenario() -> None:
        api = Assistants(base_url=simulator.base_url)
        async with Tracker("memory://", api, LangGraph(simulator.base_url)) as tracker:
            done = {"run_id": "run_1", "thread_id": "thread_1", "status": "error"}
            assert tracker.observe(done, source="langgraph")
            assert await tracker.drain(120)
            assert sum(simulator.traffic.values()) == 0

    asyncio.run(scenario())


def test_of_several_trackers_one_reads_the_steps_of_an_end(
    postgres_db: str, simulator: Simulator
) -> None:
    runs = [create_ended_run(simulator) for _ in range(4)]

    async def work(pair: Pair) -> None:
        before = sum(simulator.traffic.values())
        for run_id in runs:
            pair.trackers[0].observe(simulator.body(run_id))
        reader = pair.trackers[0]
        deadline = time.monotonic() + 120
        while not all(steps_of(reader, run_id) for run_id in runs):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        for tracker in pair.trackers:
            assert await tracker.drain(120)
        for run_id in runs:
            assert sorted(steps_of(reader, run_id)) == true_steps(simulator, run_id)
        assert sum(simulator.traffic.values()) - before == len(runs)

    run_pair(postgres_db, simulator, work)
