"""`runfold demo`: small, on each database, repeated, and interrupted."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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

pytestmark = pytest.mark.integration

# A seed of short runs.
SEED = 13
FEW = ("--runs", 6, "--threads", 3, "--seed", SEED)


def read_statuses(db: str) -> dict[str, str]:
    with Views(db) as views:
        views.catch_up()
        return {row.run_id: row.status for row in views.runs(limit=None)}


def find_example(done: Finished) -> str:
    """Returns the example command, which is the last line."""
    return done.out.splitlines()[-1].strip()


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

    assert "6 runs on 3 threads" in first.out
    for title in ("runs by status", "time by phase", "tokens by model"):
        assert f"\n{title}\n" in first.out
    tables = first.out[: first.out.index("The database is ")]
    assert max(map(len, tables.splitlines()[1:])) <= 80
    assert "The database is runfold-demo.db. Query it with SQL, for example:" in first.out
    answer = run_shell(find_example(first), tmp_path)
    assert sum(int(line.split()[-2]) for line in answer.splitlines()) == 6

    second = finish(start("demo", "--runs", 2, "--seed", SEED, folder=tmp_path))
    assert second.code == 0, second.err
    assert f"seed {SEED + 1}\n" in second.out
    assert len(read_statuses(db)) == 8
    assert read_statuses(db).items() >= ended.items()


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
def test_after_one_that_was_stopped_half_way(tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path}/it's.db"
    process = start("demo", "--runs", 12, "--threads", 12, "--db", db, folder=tmp_path)
    deadline = time.monotonic() + SECONDS
    while not has_runs(db):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    stopped = finish(process)
    assert stopped.code == 130
    assert stopped.message == "interrupted; everything recorded so far is kept"

    done = finish(start("demo", "--runs", 2, "--seed", SEED, "--db", db, folder=tmp_path))
    assert done.code == 0, done.err
    assert done.err == ""
    statuses = list(read_statuses(db).values())
    assert statuses.count("vanished") >= 1
    assert not {"queued", "in_progress", "requires_action"} & set(statuses)
    assert run_shell(find_example(done), tmp_path)


def has_runs(db: str) -> bool:
    try:
        return bool(read_statuses(db))
    except Exception:
        return False


def test_on_postgresql(tmp_path: Path, postgres_db: str) -> None:
    done = finish(start("demo", "--runs", 2, "--seed", SEED, "--db", postgres_db, folder=tmp_path))
    assert done.code == 0, done.err
    assert len(read_statuses(postgres_db)) == 2
    assert "secret" not in done.out
    answer = run_shell(find_example(done), tmp_path)
    assert sum(int(line.split()[-2]) for line in answer.splitlines()) == 2
    assert list(tmp_path.iterdir()) == []


def test_the_interpreter_of_a_folder_is_named_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(sys.executable).parent)
    done = runfold("demo", "--runs", 1, "--seed", SEED, "--db", f"sqlite:///{tmp_path}/runs.db")
    assert done.code == 0, done.err
    assert find_example(done).startswith(f"{Path(sys.executable).name} -c ")


def test_runs_of_a_real_service_are_left_alone(tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path}/runs.db"
    file = write_lines(tmp_path / "runs.jsonl", run_body("run_1", "in_progress"))
    assert runfold("import", file, "--db", db).code == 0
    assert runfold("demo", "--runs", 1, "--seed", SEED, "--db", db).code == 0
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
    for arguments in (["--runs", 0], ["--threads", 0], ["--db", "nonsense"]):
        assert runfold("demo", *arguments).code == 2
    nowhere = runfold("demo", "--db", f"sqlite:///{tmp_path}{os.sep}nowhere/runs.db")
    assert nowhere.code == 1
