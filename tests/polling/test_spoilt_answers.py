"""Spoilt answers over real HTTP: the run is unchanged, and memory stays below the cap."""

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.support.scripted_server import SkippingClock
from tests.support.tracker_settings import LONG, QUICK
from tests.support.waiting import until
from tracker import Tracker
from tracker.errors import Unreachable, UnusableAnswer
from tracker.simulator import Faults, Simulator
from tracker.sources import Assistants

pytestmark = pytest.mark.integration


SPOILT: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"slow_drip": 1.0, "drip_bytes": 1, "drip_pause": 0.1}, Unreachable),
    ({"huge": 1.0}, UnusableAnswer),
    ({"gzip_bomb": 1.0}, UnusableAnswer),
    ({"reset": 1.0}, Unreachable),
    ({"cut": 1.0}, UnusableAnswer),
    ({"truncated": 1.0}, UnusableAnswer),
    ({"malformed": 1.0}, UnusableAnswer),
    ({"html": 1.0}, UnusableAnswer),
    ({"empty": 1.0}, UnusableAnswer),
    ({"wrong_id": 1.0}, UnusableAnswer),
    ({"bad_gateway": 1.0}, Unreachable),
]


# Only the slow drip is to come to its deadline.
@pytest.mark.parametrize(("spoilt", "deadline"), [(SPOILT[:1], 3.0), (SPOILT[1:], 100.0)])
def test_answers_that_go_wrong_leave_the_run_as_it_was(
    spoilt: list[tuple[dict[str, Any], type[Exception]]], deadline: float
) -> None:
    clock = SkippingClock()

    async def scenario(simulator: Simulator) -> None:
        run = simulator.create_run()
        key = "key-4f1d9c22b7"
        api = Assistants(simulator.base_url, api_key=key, clock=clock, deadline=deadline)
        async with Tracker("memory://", api, cadence=QUICK, clock=clock) as tracker:
            await tracker.watch(run.thread_id, run.run_id)

            def is_well() -> bool:
                is_known = tracker.watching[0].status == "in_progress"
                return is_known and run.run_id not in tracker.troubles

            await until(is_well)
            before = len(tracker.history(run.run_id))
            for fault, kind in spoilt:
                simulator.faults = Faults(**fault)
                await until(lambda it=kind: isinstance(tracker.troubles.get(run.run_id), it))
                simulator.faults = Faults()
                clock.skip(61)
                await until(is_well)
            assert len(tracker.history(run.run_id)) == before
            assert tracker.sources_status()["assistants"].failed >= len(spoilt)
            simulator.cancel(run.run_id)
            assert (await tracker.wait(run.run_id, timeout=300)).status == "cancelled"

    with Simulator(parameters=LONG) as simulator:
        asyncio.run(scenario(simulator))


# Told the service, a thread and a run: asks about it once, and says what that cost.
MEASURED = """
import asyncio, resource, sys, time
from tests.support.tracker_settings import QUICK
from tests.support.waiting import until
from tracker import Tracker
from tracker.sources import Assistants

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

async def main(base_url, thread, run):
    api = Assistants(base_url, deadline=100.0)
    async with Tracker("memory://", api, cadence=QUICK, steps="never") as tracker:
        print("ready", flush=True)
        sys.stdin.readline()
        await tracker.watch(thread, run)
        before, began = peak(), time.process_time()
        await until(lambda: tracker.sources_status()["assistants"].failed)
        status = tracker.sources_status()["assistants"]
        spent = time.process_time() - began
        print((peak() - before) * 1024, spent, status.failed, status.last_error)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("fault", ["huge", "gzip_bomb"])
def test_a_body_of_400_mb_costs_no_more_than_the_cap(fault: str) -> None:
    faults = Faults(**{fault: 1.0}, huge_bytes=400_000_000, bomb_bytes=400_000_000)  # type: ignore[arg-type]
    with Simulator(parameters=LONG, faults=faults) as simulator:
        run = simulator.create_run()
        with subprocess.Popen(
            [sys.executable, "-c", MEASURED, simulator.base_url, run.thread_id, run.run_id],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            said, _ = process.communicate("go\n", timeout=300)
    memory, seconds, failed, why = said.split(maxsplit=3)
    assert "larger than 2 MB" in why
    assert int(failed) >= 1
    # What httpx, the first request and the buffers take is in it too.
    assert int(memory) < 40_000_000
    assert float(seconds) < 2.0
