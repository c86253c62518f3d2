"""Simulations of a few seeds break no law, and a seed always runs the same way."""

import os
import re
import subprocess
import sys

import pytest

from tests.simulation.planted import BUGS
from tests.support.paths import ROOT

pytestmark = pytest.mark.integration


def simulate(*arguments: str) -> tuple[int, str]:
    """Runs the command. Returns its exit code and what it printed."""
    command = [sys.executable, "-m", "tests.simulation", *arguments, "--cores", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.seeds
def test_ten_seeds_break_no_law() -> None:
    code, said = simulate("11", "10", "--minutes", "0.4", "--no-shrink")
    assert code == 0, said
    assert "10 seeds," in said.splitlines()[-1]
    assert "0 seeds failed" in said.splitlines()[-1]


@pytest.mark.seeds
def test_a_seed_always_runs_the_same_way() -> None:
    traces = {
        re.findall("trace ([0-9a-f]+)", simulate("19", "--minutes", "0.4")[1])[0] for _ in "12"
    }
    assert len(traces) == 1


@pytest.mark.seeds
def test_a_planted_bug_is_found() -> None:
    chosen = ("2", "--minutes", "3", "--no-shrink")
    code, said = simulate(*chosen, "--planted", "a run is counted twice")
    assert code == 1, said
    assert "the tables equal a second fold" in said
    assert simulate(*chosen)[0] == 0


@pytest.mark.parametrize("name", BUGS)
def test_the_line_of_a_planted_bug_is_there_once(name: str) -> None:
    bug = BUGS[name]
    assert (ROOT / f"{bug.module.replace('.', '/')}.py").read_text("utf-8").count(bug.line) == 1


@pytest.mark.seeds
def test_seeds_that_once_broke_a_law_hold() -> None:
    code, said = simulate("regressions", "--no-shrink")
    assert code == 0, said
