"""`runfold demo`: small, on each database, repeated, and interrupted."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from projections import Views
from tests.support.command_line import (
    SECONDS,
    Finished,
    environment,
    finish,
    run_body,
    runfold,
    start,
    write_lines,
)
from tracker.cli.demo import quote_program
from tracker.cli.trial.week import Week
from tracker.core.events import RunEnded, RunStepRecorded
from tracker.core.status import is_ended

pytestmark = pytest.mark.integration

# A seed of short runs.
SEED = 13
QUICK = ("--seed", SEED, "--pace", 4)
FEW = ("--runs", 6, "--threads", 3, "--week", 0, *QUICK)


def read_statuses(db: str) -> dict[str, str]:
    with Views(db) as views:
        views.catch_up()
        return {row.run_id: row.status for row in views.runs(limit=None)}


def find_commands(done: Finished) -> list[str]:
    """Returns the commands to copy, which are the last lines."""
    _, _, rest = done.out.partition("for example:\n\n")
    return [line.strip() for line in rest.splitlines()]


def run_shell(line: str, folder: Path) -> str:
    done = subprocess.run(
        line,
        shell=True,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_twice_on_the_default_database(tmp_path: Path) -> None:
    first = finish(start("demo", *FEW, folder=tmp_path))
    assert first.code == 0, first.err
    assert first.err == ""
    db = f"sqlite:///{tmp_path}/runfold-demo.db"
    ended = read_statuses(db)
    assert len(ended) == 6

    assert "6 live runs on 3 threads" in first.out
    for title in ("runs by status", "time by phase", "tokens by model", "dollars by model"):
        assert f"\n{title}" in first.out

    second = finish(start("demo", "--runs", 2, "--week", 0, *QUICK, folder=tmp_path))
    assert second.code == 0, second.err
    assert f"seed {SEED + 1}\n" in second.out
    assert len(read_statuses(db)) == 8
    assert read_statuses(db).items() >= ended.items()


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_after_one_that_was_stopped_half_way(tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path}/it's.db"
    process = start("demo", "--runs", 12, "--week", 0, "--db", db, folder=tmp_path)
    deadline = time.monotonic() + SECONDS
    while not has_runs(db):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    stopped = finish(process)
    assert stopped.code == 130
    assert stopped.message == "interrupted; everything recorded so far is kept"

    done = finish(start("demo", "--runs", 2, "--week", 0, *QUICK, "--db", db, folder=tmp_path))
    assert done.code == 0, done.err
    assert done.err == ""
    statuses = list(read_statuses(db).values())
    assert statuses.count("vanished") >= 1
    assert not {"queued", "in_progress", "requires_action"} & set(statuses)
    assert run_shell(find_commands(done)[0], tmp_path)


def test_where_the_report_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "runfold-report.html").mkdir()
    done = finish(start("demo", "--runs", 1, "--week", 0, *QUICK, folder=tmp_path))
    assert done.code == 0, done.err
    assert "There is no report: runfold-report.html " in done.out
    assert find_commands(done)


def has_runs(db: str) -> bool:
    try:
        return bool(read_statuses(db))
    except Exception:
        return False


def test_the_commands_at_its_end_work_as_they_stand(tmp_path: Path) -> None:
    done = finish(start("demo", "--runs", 2, "--week", 150, *QUICK, folder=tmp_path))
    assert done.code == 0, done.err
    assert "A generated week: " in done.out
    for title in ("waiting for", "stuck runs"):
        assert f"\n{title}\n" in done.out
    report = tmp_path / "runfold-report.html"
    assert f"The report is {report}. Open it in a browser.\n" in done.out
    assert "<h1>" in report.read_text(encoding="utf-8")
    commands = find_commands(done)
    assert len(commands) >= 3
    for line in commands:
        # It would serve for ever.
        if " serve " not in line:
            assert run_shell(line, tmp_path)
    statuses = read_statuses(f"sqlite:///{tmp_path}/runfold-demo.db")
    open_runs = [it for it in statuses.values() if not is_ended(it)]
    assert 2 < len(open_runs) < 10
    # The week is made once, and its open runs are not polled at the simulator of the live ones.
    again = finish(start("demo", "--runs", 1, "--week", 150, *QUICK, folder=tmp_path))
    assert again.code == 0, again.err
    assert "A generated week" not in again.out
    after = read_statuses(f"sqlite:///{tmp_path}/runfold-demo.db")
    assert len(after) == len(statuses) + 1
    assert after.items() >= statuses.items()


def test_a_week_has_few_open_runs_and_a_bad_hour() -> None:
    now = datetime(2026, 11, 26, 15, 42, 10, tzinfo=UTC)
    week = Week(now, Random(5), source="week")
    lives = week.make_runs(2_000)
    assert len(lives) > 1_950
    ended = [isinstance(life.events[-1], RunEnded | RunStepRecorded) for life in lives]
    assert 0.95 < sum(ended) / len(lives) < 1
    hours = Counter(it.birth.replace(minute=0, second=0) for it in lives if it.has_failed)
    assert set(dict(hours.most_common(2))) == {
        datetime(2026, 11, 24, hour, tzinfo=UTC) for hour in (13, 14)
    }
    assert len({it.events[0].assistant_id for it in lives}) == 5
    for append in week.make_appends(lives):
        assert append.events
        assert all(it.observed_at <= now for it in append.events)


def test_on_postgresql(tmp_path: Path, postgres_db: str) -> None:
    few = ("--runs", 2, "--week", 20, *QUICK)
    done = finish(start("demo", *few, "--db", postgres_db, folder=tmp_path))
    assert done.code == 0, done.err
    assert len(read_statuses(postgres_db)) > 10
    assert "secret" not in done.out
    assert run_shell(find_commands(done)[0], tmp_path)
    assert [it.name for it in tmp_path.iterdir()] == ["runfold-report.html"]


def test_the_program_is_named_as_it_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my env"
    folder.mkdir()
    (folder / "runfold").touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(folder / "runfold"), "demo"])
    assert quote_program() == "'my env/runfold'"
    monkeypatch.setenv("PATH", str(folder))
    assert quote_program() == "runfold"
    monkeypatch.setattr(sys, "argv", ["tracker/cli/__main__.py", "demo"])
    assert quote_program().endswith(" -m tracker.cli")


def test_runs_of_a_real_service_are_left_alone(tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path}/runs.db"
    file = write_lines(tmp_path / "runs.jsonl", run_body("run_1", "in_progress"))
    assert runfold("import", file, "--db", db).code == 0
    assert runfold("demo", "--runs", 1, "--week", 0, *QUICK, "--db", db).code == 0
    assert len(read_statuses(db)) == 2
    assert read_statuses(db)["run_1"] == "in_progress"


def test_without_a_simulator_at_the_address(tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path}/runs.db"
    refused = runfold("demo", *FEW, "--db", db, "--base-url", "http://127.0.0.1:9/v1")
    assert refused.code == 1
    assert refused.message.startswith("no simulator created a thread at http://127.0.0.1:9/v1: ")
    wrong = runfold("demo", *FEW, "--db", db, "--base-url", "nonsense")
    assert wrong.code == 2


def test_arguments_that_cannot_be(tmp_path: Path) -> None:
    for arguments in (["--runs", 0], ["--threads", 0], ["--pace", 0], ["--db", "nonsense"]):
        assert runfold("demo", *arguments).code == 2
    nowhere = runfold("demo", "--db", f"sqlite:///{tmp_path}{os.sep}nowhere/runs.db")
    assert nowhere.code == 1
