"""`kill -9` of the demo at random moments: no acknowledged event is lost or doubled."""

import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from projections import Views
from tests.support.paths import ROOT
from tracker import open_event_store
from tracker.cli.trial.live_runs import DEMO_PARAMETERS
from tracker.core.decider import fold
from tracker.core.events import RunCreated, RunEnded, RunStepRecorded
from tracker.simulator import Simulator


def kill_demo(folder: Path, kills: int) -> int:
    """Kills a demo on an SQLite file so many times, lets one finish, and compares with the truth.

    Returns the number of runs. Raises AssertionError if anything was lost, doubled or is not true.
    """
    url, notes = f"sqlite:///{folder}/runs.db", folder / "notes"
    chance = random.Random()
    short = replace(DEMO_PARAMETERS, time_scale=0.15, expires_after=7.0)
    with Simulator(seed=chance.randrange(10_000), parameters=short) as simulator:

        def start(number: int, *, runs: int) -> subprocess.Popen[bytes]:
            arguments = [url, simulator.base_url, str(notes), str(runs), str(number)]
            module = "tests.support.killed_demo"
            return subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=ROOT)

        for number in range(kills):
            process = start(number, runs=200)
            time.sleep(chance.uniform(0.5, 2.0))
            process.kill()
            assert process.wait() < 0, "it had nothing left to be killed at"
        assert start(kills, runs=20).wait(120) == 0

        store = open_event_store(url)
        recorded = store.read_all(limit=1_000_000)
        versions = Counter(entry.stream for entry in recorded)
        for line in notes.read_text().splitlines():
            stream, version = line.rsplit(" ", 1)
            assert versions[stream] >= int(version), f"{stream} lost what was acknowledged"

        created = Counter(e.stream for e in recorded if isinstance(e.event, RunCreated))
        ended = Counter(e.stream for e in recorded if isinstance(e.event, RunEnded))
        assert len(created) >= 20
        assert set(created.values()) == set(ended.values()) == {1}
        assert created.keys() == ended.keys()
        for stream in created:
            state = fold(entry.event for entry in recorded if entry.stream == stream)
            truth = simulator.truth(state.run_id)
            assert (state.status, state.usage) == (truth.status, truth.usage)
            steps = [
                entry.event.step_id
                for entry in recorded
                if entry.stream == stream and isinstance(entry.event, RunStepRecorded)
            ]
            assert sorted(steps) == sorted(step.id for step in truth.steps)

    rebuilt_url = f"sqlite:///{folder}/rebuilt.db"
    with Views(url) as views, Views(rebuilt_url, store=store) as rebuilt:
        rebuilt.upgrade()
        assert rebuilt.catch_up() == len(recorded)
        assert views.runs(limit=None) == rebuilt.runs()
        assert len(views.runs(limit=None)) == len(created)
        for row in views.runs(limit=None):
            assert views.phases(row.run_id) == rebuilt.phases(row.run_id)
    store.close()
    return len(created)
