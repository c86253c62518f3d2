"""Steps that a worker has not read: read by the next holder of its shards, without a restart."""

import asyncio
import subprocess
import sys

import pytest

from tests.support.paths import ROOT
from tests.support.simulated_steps import steps_of, true_steps
from tests.support.tracker_settings import tracker_of
from tests.support.waiting import until
from tracker import Tracker
from tracker.leases.shards import SHARDS
from tracker.simulator import Simulator

pytestmark = pytest.mark.integration

RUNS = 16

# Told the store, the service and runs on their threads: sees them to their ends, reads no steps.
WORKER = """
import asyncio, sys
from tests.support.tracker_settings import QUICK
from tracker import Tracker
from tracker.sources import Assistants

class StuckSource(Assistants):
    async def fetch_steps(self, thread_id, run_id, after=None):
        await asyncio.sleep(600)

async def main(url, base_url, *runs):
    async with Tracker(url, StuckSource(base_url=base_url), cadence=QUICK) as tracker:
        pairs = [run.split("/") for run in runs]
        for thread, run in pairs:
            await tracker.watch(thread, run)
        for _, run in pairs:
            await tracker.wait(run, timeout=300)
        print("ended", flush=True)
        await asyncio.sleep(600)

asyncio.run(main(*sys.argv[1:]))
"""


def runs_with_steps(tracker: Tracker, runs: list[str]) -> set[str]:
    return {run_id for run_id in runs if steps_of(tracker, run_id)}


def test_the_steps_that_a_killed_worker_left_are_read_by_who_takes_over(
    postgres_db: str, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "runfold.leases")
    runs = [simulator.create_run().run_id for _ in range(RUNS)]
    named = [f"{simulator.truth(run_id).thread_id}/{run_id}" for run_id in runs]

    async def scenario(worker: subprocess.Popen[str]) -> None:
        async with tracker_of(postgres_db, simulator) as tracker:
            # A half of the shards is given to it: it cannot know that the steps are being read.
            await until(lambda: f"{SHARDS // 2} held" in caplog.text)
            assert await tracker.drain(120)
            given = runs_with_steps(tracker, runs)
            assert len(given) < RUNS
            worker.kill()
            worker.wait()
            await until(lambda: len(runs_with_steps(tracker, runs)) == RUNS)
            for run_id in runs:
                assert sorted(steps_of(tracker, run_id)) == true_steps(simulator, run_id)
        # Each once, and nothing of what had been read before.
        assert simulator.traffic["200"] - polls == RUNS

    arguments = [sys.executable, "-c", WORKER, postgres_db, simulator.base_url, *named]
    worker = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with worker:
        try:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ended\n"
            polls = simulator.traffic["200"]
            asyncio.run(scenario(worker))
        finally:
            worker.kill()
