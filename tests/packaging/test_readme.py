"""The README, taken at its word: its two commands, its program, and that it stays short."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import SECONDS, environment, runfold
from tests.support.manual_sessions import commands, make_simulator, run_program
from tests.support.manuals import EXTRAS, README

MOST_LINES, MOST_WORDS = 160, 1800
BASH = [block.text.strip().split(" && ") for block in README.blocks_of("bash")]


def test_it_is_read_in_ten_minutes() -> None:
    assert len(README.text.splitlines()) <= MOST_LINES
    assert len(README.text.split()) <= MOST_WORDS


def test_its_first_two_commands_are_the_ones_that_the_gate_runs() -> None:
    # The gate takes them by their position.
    assert [steps[-1].split()[0] for steps in BASH] == [".venv/bin/runfold", ".venv/bin/python"]


@pytest.mark.parametrize("steps", BASH)
def test_a_command_installs_an_extra_that_there_is(steps: list[str]) -> None:
    venv, install, _ = (shlex.split(part) for part in steps)
    assert venv == ["python3", "-m", "venv", ".venv"]
    assert install[:4] == [".venv/bin/pip", "install", "-q", "-e"]
    extra = install[4].removeprefix(".[").removesuffix("]")
    assert EXTRAS[extra]


def test_the_first_command_shows_the_demo(tmp_path: Path) -> None:
    arguments = shlex.split(BASH[0][-1])[1:]
    done = subprocess.run(
        [sys.executable, "-m", "tracker.cli", *arguments],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("A generated week: ")
    assert "20 live runs on 20 threads " in done.stdout
    for shown in ("runs by status", "time by phase", "tokens by model", "runfold-demo.db"):
        assert shown in done.stdout
    assert (tmp_path / "runfold-demo.db").is_file()
    assert "The report is " in done.stdout
    assert (tmp_path / "runfold-report.html").is_file()


def test_the_second_command_runs_the_tests() -> None:
    # The gate runs it as it is; here it would run itself.
    assert BASH[1][-1] == ".venv/bin/python -m pytest -n 5 --dist worksteal"


def test_the_program_runs(tmp_path: Path) -> None:
    [program] = README.blocks_of("python")
    with make_simulator() as service:
        shown = run_program(program, service, tmp_path)
    assert shown.startswith("completed prompt_tokens=")
    for what in ("1 RunCreated(", "RunCompleted(", "RunRow(", "TimingRow(", "UsageRow("):
        assert what in shown
    assert "datetime.date(" in shown


def test_the_options_are_those_of_the_commands() -> None:
    assert "All but `simulate` take `--db URL`" in README.text
    for command in commands():
        assert ("--db" in runfold(command, "--help").out) == (command != "simulate")
