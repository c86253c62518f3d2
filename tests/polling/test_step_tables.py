"""Steps from the service to the tables, across restarts and failures."""

import asyncio
import logging
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from projections import Views
from tests.support.paths import ROOT
from tests.support.simulated_steps import steps_of, true_steps
from tests.support.tracker_settings import QUICK, TOOLS, tracker_of
from tracker import Tracker
from tracker.errors import SettingsError
from tracker.simulator import Faults, Simulator
from tracker.sources import Assistants

pytestmark = pytest.mark.integration


# Told the store, the service, a thread and a run: sees it to its end, and dies on the spot.
KILLED = """
import asyncio, os, signal, sys
from tests.support.tracker_settings import QUICK
from tracker import Tracker
from tracker.sources import Assistants

async def main(url, base_url, thread, run):
    async with Tracker(url, Assistants(base_url=base_url), cadence=QUICK) as tracker:
        await tracker.watch(thread, run)
        await tracker.wait(run, timeout=300)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(*sys.argv[1:]))
"""


async def track_to_end(tracker: Tracker, simulator: Simulator, *run_ids: str) -> None:
    for run_id in run_ids:
        await tracker.watch(simulator.truth(run_id).thread_id, run_id)
    for run_id in run_ids:
        await tracker.wait(run_id, timeout=300)


def leave_without_steps(url: str, simulator: Simulator, *run_ids: str) -> None:
    """Records the runs to their ends, as a tracker does that is left at that moment."""

    async def scenario() -> None:
        async with tracker_of(url, simulator, steps="never") as tracker:
            await track_to_end(tracker, simulator, *run_ids)

    asyncio.run(scenario())


def test_steps_make_the_pauses_exact(database_url: str, simulator: Simulator) -> None:
    simulator.parameters = TOOLS
    runs = [simulator.create_run().run_id for _ in range(3)]

    async def scenario() -> None:
        async with tracker_of(database_url, simulator) as tracker:
            for run_id in runs:
                await tracker.watch(simulator.truth(run_id).thread_id, run_id)
            for run_id in runs:
                assert (await tracker.wait(run_id, timeout=300, until="actionable")).needs_action
                simulator.submit_outputs(run_id)
            for run_id in runs:
                await tracker.wait(run_id, timeout=300)
            assert await tracker.drain(120)
            for run_id in runs:
                assert sorted(steps_of(tracker, run_id)) == true_steps(simulator, run_id)

    asyncio.run(scenario())
    with Views(database_url) as views:
        views.upgrade()
        views.catch_up()
        for run_id in runs:
            pauses = [p for p in views.phases(run_id) if p.status == "requires_action"]
            assert {pause.basis for pause in pauses} == {"server"}
            # A stamp of whole seconds at either end.
            assert all(0 < pause.uncertainty_seconds < 2 for pause in pauses)


def test_steps_are_seen_while_the_run_goes_on_where_that_is_wanted(simulator: Simulator) -> None:
    simulator.parameters = TOOLS
    run = simulator.create_run()

    async def scenario() -> None:
        async with tracker_of("memory://", simulator, steps="live") as tracker:
            await tracker.watch(run.thread_id, run.run_id)
            await tracker.wait(run.run_id, timeout=300, until="actionable")
            assert await tracker.drain(120)
            ended = true_steps(simulator, run.run_id)
            assert sorted(steps_of(tracker, run.run_id)) == ended
            simulator.submit_outputs(run.run_id)
            await tracker.wait(run.run_id, timeout=300)
            assert await tracker.drain(120)
            assert len(steps_of(tracker, run.run_id)) > len(ended)
            assert sorted(steps_of(tracker, run.run_id)) == true_steps(simulator, run.run_id)

    asyncio.run(scenario())
    with pytest.raises(SettingsError, match="steps has to be"):
        tracker_of("memory://", simulator, steps="sometimes")


def test_what_a_tracker_left_unread_the_next_one_reads_once(
    database_url: str, simulator: Simulator
) -> None:
    runs = [simulator.create_run().run_id for _ in range(5)]
    leave_without_steps(database_url, simulator, *runs)

    async def count_requests() -> int:
        before = sum(simulator.traffic.values())
        async with tracker_of(database_url, simulator) as tracker:
            assert await tracker.drain(120)
            for run_id in runs:
                assert sorted(steps_of(tracker, run_id)) == true_steps(simulator, run_id)
        return sum(simulator.traffic.values()) - before

    assert asyncio.run(count_requests()) == 5
    assert asyncio.run(count_requests()) == 0


def test_a_process_killed_between_an_end_and_its_steps_loses_none(
    tmp_path: Path, simulator: Simulator
) -> None:
    url, run = f"sqlite:///{tmp_path}/runs.db", simulator.create_run()
    arguments = [url, simulator.base_url, run.thread_id, run.run_id]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=ROOT, timeout=300)
    assert killed.returncode == -signal.SIGKILL

    async def scenario() -> None:
        async with tracker_of(url, simulator) as tracker:
            assert tracker.watching == []
            assert steps_of(tracker, run.run_id) == []
            assert await tracker.drain(120)
            assert sorted(steps_of(tracker, run.run_id)) == true_steps(simulator, run.run_id)

    asyncio.run(scenario())


def test_steps_of_long_ago_are_not_asked_for(tmp_path: Path, simulator: Simulator) -> None:
    url, run = f"sqlite:///{tmp_path}/runs.db", simulator.create_run()
    body = simulator.body(run.run_id, at=simulator.clock.now() + 1000)
    now = time.time()

    async def count_requests(ended_ago: float) -> int:
        times = {"created_at": now - ended_ago - 60, "completed_at": now - ended_ago}
        async with tracker_of(url, simulator) as tracker:
            tracker.observe({**body, **times, "id": f"run_{ended_ago:.0f}", "started_at": None})
        before = simulator.traffic["404"]
        async with tracker_of(url, simulator) as tracker:
            assert await tracker.drain(120)
        return simulator.traffic["404"] - before

    assert asyncio.run(count_requests(25 * 3600)) == 0
    assert asyncio.run(count_requests(23 * 3600)) == 1


@pytest.mark.parametrize(
    "fault", [{"rate_limited": 1.0, "retry_after": 0.2}, {"server_error": 1.0}, {"truncated": 1.0}]
)
def test_steps_outlast_what_goes_wrong_on_the_way(
    tmp_path: Path, simulator: Simulator, fault: dict[str, Any]
) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    runs = [simulator.create_run().run_id for _ in range(3)]
    leave_without_steps(url, simulator, *runs)

    async def scenario() -> None:
        simulator.faults = Faults(**fault)
        async with tracker_of(url, simulator) as tracker:
            assert not await tracker.drain(timeout=0.5)
            assert steps_of(tracker, runs[0]) == []
            simulator.faults = Faults()
            assert await tracker.drain(timeout=300)
            for run_id in runs:
                assert sorted(steps_of(tracker, run_id)) == true_steps(simulator, run_id)

    asyncio.run(scenario())
    assert simulator.traffic["200"] > 0


def test_steps_that_the_service_knows_no_more_are_left_quietly(
    tmp_path: Path, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    url, run = f"sqlite:///{tmp_path}/runs.db", simulator.create_run()
    leave_without_steps(url, simulator, run.run_id)
    caplog.set_level(logging.INFO, "runfold")

    async def scenario() -> None:
        with Simulator() as other:
            async with tracker_of(url, other) as tracker:
                assert await tracker.drain(120)
                assert steps_of(tracker, run.run_id) == []
            assert other.traffic == {"404": 1}

    asyncio.run(scenario())
    said = [it for it in caplog.records if "its reading of steps failed" in it.getMessage()]
    assert [it.levelno for it in said] == [logging.INFO]


def test_a_tracker_is_left_at_once_whatever_steps_wait(
    tmp_path: Path, simulator: Simulator
) -> None:
    url, run = f"sqlite:///{tmp_path}/runs.db", simulator.create_run()
    leave_without_steps(url, simulator, run.run_id)
    simulator.faults = Faults(slow_drip=1.0, drip_bytes=1, drip_pause=100.0)

    async def scenario() -> float:
        api = Assistants(base_url=simulator.base_url)
        async with Tracker(url, api, cadence=QUICK) as tracker:
            await asyncio.sleep(0.5)
            assert not await tracker.drain(timeout=0.1)
            began = time.monotonic()
        return time.monotonic() - began

    assert asyncio.run(scenario()) < 60
