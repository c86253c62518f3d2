"""The program of the README, killed at random moments: every run completes, answered once."""

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.command_line import environment
from tests.support.manual_sessions import API_KEY
from tests.support.manuals import README
from tracker import open_event_store
from tracker.core.events import RunEnded, ToolOutputsSubmitted
from tracker.simulator import Parameters, Simulator

pytestmark = pytest.mark.integration

KILLS = 20
TOOLS = [{"type": "function", "function": {"name": "get_weather"}}]
ASKING = Parameters.ending(
    "completed",
    action=1.0,
    max_actions=2,
    answers="client",
    unanswered=0.0,
    stretched=0.0,
    time_scale=0.1,
)


@pytest.mark.kills
def test_the_program_of_the_readme_killed_twenty_times(tmp_path: Path) -> None:
    [block] = README.blocks_of("python")
    assert "@tracker.tool" in block.text
    chance = random.Random()
    with Simulator(parameters=ASKING, api_key=API_KEY, many_active=True) as simulator:
        other = simulator.create_run(tools=TOOLS)
        text = (
            block.text.replace("thread_1", simulator.create_thread())
            .replace("thread_2", other.thread_id or "")
            .replace("run_2", other.run_id)
            .replace('assistant_id="asst_1"', f'assistant_id="asst_1", tools={TOOLS}')
        )
        program = tmp_path / "program.py"
        names = f'BASE_URL = "{simulator.base_url}"\nAPI_KEY = "{API_KEY}"\n'
        program.write_text(names + text, "utf-8")

        def start() -> "subprocess.Popen[bytes]":
            return subprocess.Popen(
                [sys.executable, str(program)],
                cwd=tmp_path,
                env=environment(),
                stdout=subprocess.DEVNULL,
            )

        def is_open() -> list[str]:
            runs = [simulator.truth(run) for run in simulator.run_ids()]
            return [it.run_id for it in runs if it.status != "completed"]

        for number in range(KILLS):
            process = start()
            while len(simulator.run_ids()) < number + 2:
                assert process.poll() is None
                time.sleep(0.01)
            time.sleep(chance.uniform(0.0, 1.5))
            process.kill()
            process.wait()
        for _ in range(20):
            if not is_open():
                break
            assert start().wait(300) == 0
        assert is_open() == []
        # A submission of outputs that were there already would have been refused.
        assert simulator.traffic["400"] == 0
    store = open_event_store(f"sqlite:///{tmp_path}/runs.db")
    recorded = store.read_all(limit=100_000)
    store.close()
    calls = Counter(
        (it.stream, call)
        for it in recorded
        if isinstance(it.event, ToolOutputsSubmitted)
        for call in it.event.tool_call_ids
    )
    assert calls
    assert set(calls.values()) == {1}
    ends = Counter(it.stream for it in recorded if isinstance(it.event, RunEnded))
    assert len(ends) >= KILLS + 1
    assert set(ends.values()) == {1}
