"""Commands on a database that is absent, broken, busy, old or read-only."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from projections.database.schema import REVISION, metadata
from tests.support.command_line import (
    SECONDS,
    environment,
    finish,
    run_body,
    runfold,
    start,
    write_lines,
)

pytestmark = pytest.mark.integration

READING = (["status"], ["timing"], ["usage"], ["history", "run_1"], ["catch-up"])
# Drops root's capability to ignore file permissions, then becomes the command.
UNPRIVILEGED = (
    "import ctypes, os, sys\n"
    "drop_from_bounding_set, dac_override = 24, 1\n"
    "if os.geteuid() == 0 and ctypes.CDLL(None).prctl(drop_from_bounding_set, dac_override):\n"
    "    sys.exit(77)\n"
    "os.execv(sys.executable, [sys.executable, '-m', 'tracker.cli', *sys.argv[1:]])\n"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new folder, as the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNFOLD_DB", raising=False)
    return tmp_path


@pytest.fixture
def file(folder: Path) -> Path:
    """A file with one run."""
    return write_lines(folder / "runs.jsonl", run_body("run_1"))


@pytest.mark.parametrize("command", READING, ids=lambda command: command[0])
def test_a_missing_database_is_not_made(folder: Path, command: list[str]) -> None:
    refused = runfold(*command)
    assert refused.code == 1
    assert refused.message.startswith("no database at runfold.db: check --db")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", [*READING, ["upgrade"], ["import", "runs.jsonl"]], ids=str)
def test_a_file_that_is_no_database_stays_as_it_is(file: Path, command: list[str]) -> None:
    notes = file.with_name("notes.txt")
    notes.write_text("not a database, however long it may be read\n" * 40)
    before = notes.read_bytes()
    refused = runfold(*command, "--db", "sqlite:///notes.txt")
    assert refused.code == 1
    assert "notes.txt" in refused.message
    assert "not a database" in refused.message
    assert notes.read_bytes() == before
    assert sorted(path.name for path in file.parent.iterdir()) == ["notes.txt", "runs.jsonl"]


@pytest.mark.parametrize(
    "url", ["runs.db", "", "mysql://host/x", "sqlite://", "sqlite:///:memory:"]
)
def test_a_url_of_no_database(url: str) -> None:
    refused = runfold("status", "--db", url)
    assert refused.code == 2
    assert "sqlite:///" in refused.message


def test_a_folder_instead_of_a_database(folder: Path) -> None:
    refused = runfold("status", "--db", f"sqlite:///{folder}")
    assert refused.code == 1
    assert "cannot be used" in refused.message


def test_a_folder_that_is_not_there(file: Path) -> None:
    refused = runfold("import", file, "--db", "sqlite:///nowhere/runs.db")
    assert refused.code == 1
    assert "nowhere/runs.db" in refused.message
    assert not Path("nowhere").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux to take a right away")
@pytest.mark.parametrize("command", ["import", "status"])
def test_a_folder_that_may_not_be_written(file: Path, command: str) -> None:
    closed = file.parent / "closed"
    closed.mkdir()
    if command == "status":
        assert runfold("import", file, "--db", "sqlite:///closed/runs.db").code == 0
        (closed / "runs.db").chmod(0o444)
    closed.chmod(0o555)
    arguments = ["import", str(file)] if command == "import" else ["status"]
    done = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED, *arguments, "--db", "sqlite:///closed/runs.db"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    closed.chmod(0o755)
    if done.returncode == 77:
        pytest.skip("nothing may be taken away here")
    assert done.returncode == 1, done
    assert done.stderr.startswith("runfold: ")
    assert len(done.stderr.splitlines()) == 1
    assert "closed/runs.db" in done.stderr


@pytest.mark.parametrize("command", READING, ids=lambda command: command[0])
@pytest.mark.parametrize("revision", ["0000", "9999"])
def test_tables_of_another_release(file: Path, command: list[str], revision: str) -> None:
    assert runfold("import", file).code == 0
    with sqlite3.connect("runfold.db") as connection:
        connection.execute("UPDATE runfold_alembic_version SET version_num = ?", [revision])
    connection.close()
    refused = runfold(*command)
    assert refused.code == 1
    cure = "runfold upgrade" if revision < REVISION else "newer release"
    assert cure in refused.message
    assert revision in refused.message


def test_upgrade_makes_the_tables_and_catch_up_fills_them(file: Path) -> None:
    assert runfold("upgrade").out == "the tables are up to date\n"
    assert runfold("upgrade").code == 0
    assert runfold("import", file).code == 0
    with sqlite3.connect("runfold.db") as connection:
        for table in metadata.tables:
            connection.execute(f"DELETE FROM {table}")
    connection.close()
    assert runfold("catch-up").out == "3 events applied\n"
    assert runfold("catch-up").out == "0 events applied\n"
    assert runfold("status", "--json").document == [{"status": "completed", "runs": 1}]


def test_the_environment_names_the_database(file: Path) -> None:
    env = {"RUNFOLD_DB": "sqlite:///named.db"}
    assert finish(start("import", file, folder=file.parent, env=env)).code == 0
    assert not Path("runfold.db").exists()
    asked = finish(start("status", "--json", folder=file.parent, env=env))
    assert asked.document == [{"status": "completed", "runs": 1}]
    other = finish(start("status", "--db", "sqlite:///other.db", folder=file.parent, env=env))
    assert other.message.startswith("no database at other.db: check --db")


def test_a_postgresql_database(file: Path, postgres_db: str) -> None:
    assert runfold("import", file, "--db", postgres_db).code == 0
    assert "RunCompleted" in runfold("history", "run_1", "--db", postgres_db).out
    asked = runfold("status", "--json", "--db", postgres_db)
    assert asked.document == [{"status": "completed", "runs": 1}]


def test_a_postgresql_that_does_not_answer(file: Path) -> None:
    url = "postgresql://runfold:s3cret@127.0.0.1:9/runs"
    for command in (["status"], ["import", "runs.jsonl"], ["upgrade"]):
        refused = runfold(*command, "--db", url)
        assert refused.code == 1
        assert "127.0.0.1" in refused.err
        assert "s3cret" not in refused.err


def test_usage_errors_and_help() -> None:
    assert runfold("nonsense").code == 2
    assert runfold("history").code == 2
    assert "upgrade" in runfold("--help").out


def test_tables_are_proved_and_made_again(file: Path) -> None:
    assert runfold("import", file).code == 0
    proved = runfold("verify")
    assert (proved.code, proved.out) == (0, "the tables match the events\n")
    with sqlite3.connect("runfold.db") as connection:
        connection.execute("UPDATE runs SET model = 'another'")
    connection.close()
    spoilt = runfold("verify")
    assert spoilt.code == 1
    assert "model is 'another', the events say" in spoilt.out
    assert "runfold rebuild --all" in spoilt.err
    assert runfold("rebuild", "runs").code == 0
    assert runfold("verify").code == 0
    assert runfold("rebuild", "--all").code == 0
    assert runfold("rebuild").code == runfold("rebuild", "runs", "--all").code == 2
    assert "runs, phases, actions, steps" in runfold("rebuild", "nothing").message
