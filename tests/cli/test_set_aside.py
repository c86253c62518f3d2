"""Runs that cannot be read, on the command line: named, retried and forgotten."""

import gzip
import json
from pathlib import Path

import pytest

from tests.support.command_line import run_body, runfold, write_lines
from tests.support.raw_events import nested, plant_event, replace_event
from tests.support.run_builder import created

pytestmark = pytest.mark.integration


@pytest.fixture
def imported(database_url: str, tmp_path: Path) -> str:
    """Returns the URL of two good runs, one that is nested too deep, and one of garbage."""
    file = write_lines(tmp_path / "runs.jsonl", run_body("run_1"), run_body("run_2"))
    assert runfold("import", file, "--db", database_url).code == 0
    plant_event(database_url, "assistants:deep", 1, nested(250), "run.created/1")
    plant_event(database_url, "assistants:odd", 1)
    file = write_lines(tmp_path / "more.jsonl", run_body("run_3", thread_id="thread_3"))
    assert runfold("import", file, "--db", database_url).code == 0
    return database_url


def test_all_commands_go_on(imported: str, tmp_path: Path) -> None:
    for command in ("catch-up", "status", "usage", "verify", "stuck", "rebuild --all"):
        found = runfold(*command.split(), "--db", imported)
        assert found.code == 0, found
    assert runfold("status", "--json", "--db", imported).document == [
        {"status": "completed", "runs": 3}
    ]
    ill = runfold("doctor", "--db", imported)
    assert ill.code == 1
    for run in ("deep", "odd"):
        cure = f"runfold retry assistants:{run}, or else runfold forget --run assistants:{run} --y"
        assert f"assistants:{run}: set aside, left out of " in ill.out.replace("\n", " ")
        assert cure in ill.out.replace("\n", " ")
    document = runfold("doctor", "--json", "--db", imported).document
    assert document["healthy"] is False
    assert document["runs_set_aside"] == 2
    assert [it["run_key"] for it in document["set_aside"]] == ["assistants:deep", "assistants:odd"]


def test_a_retry(imported: str) -> None:
    failed = runfold("retry", "--db", imported)
    assert failed.code == 1
    assert failed.out.startswith("0 runs are complete in the tables, 2 stay set aside\n")
    assert "assistants:odd: version 1 (position " in failed.out
    unknown = runfold("retry", "run_1", "--db", imported)
    assert (unknown.code, "no run run_1 is set aside" in unknown.message) == (1, True)
    replace_event(imported, "assistants:deep", 1, created(run_id="deep"))
    done = runfold("retry", "deep", "--source", "assistants", "--db", imported)
    assert (done.code, done.out) == (0, "1 runs are complete in the tables, 0 stay set aside\n")
    assert runfold("history", "deep", "--db", imported).code == 0
    assert runfold("verify", "--db", imported).code == 0


def test_a_run_is_forgotten(imported: str) -> None:
    assert runfold("forget", "--yes", "--db", imported).code == 2
    assert runfold("forget", "thread_1", "--run", "odd", "--yes", "--db", imported).code == 2
    assert runfold("forget", "--run", "odd", "--db", imported).code == 2
    assert runfold("forget", "--run", "none", "--yes", "--db", imported).code == 1
    for run in ("odd", "assistants:deep"):
        done = runfold("forget", "--run", run, "--yes", "--db", imported)
        assert done.out == "deleted 1 runs with 1 events, 0 of them in the tables\n"
    assert runfold("doctor", "--db", imported).code == 0
    assert runfold("verify", "--db", imported).code == 0
    done = runfold("forget", "--run", "run_3", "--yes", "--db", imported)
    assert done.out.endswith(", 1 of them in the tables\n")
    assert runfold("history", "run_3", "--db", imported).code == 1
    assert runfold("history", "run_2", "--db", imported).code == 0


def test_its_history_is_shown_and_exported(imported: str, tmp_path: Path) -> None:
    document = runfold("history", "run_1", "--json", "--db", imported).document
    plant_event(imported, "assistants:run_1", len(document) + 1)
    shown = runfold("history", "run_1", "--db", imported)
    assert (shown.code, "Unreadable" in shown.out) == (0, True)
    [*_, last] = runfold("history", "run_1", "--json", "--db", imported).document
    assert (last["version"], last["topic"]) == (len(document) + 1, "run.times_changed/1")
    assert "cannot be read" in last["unreadable"]
    file = tmp_path / "events.jsonl.gz"
    exported = runfold("export", file, "--events", "--db", imported)
    assert exported.code == 0
    lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    streams = [json.loads(line)["stream"] for line in lines]
    # As it is stored, for a release that can read it; what is no JSON is left out.
    assert "assistants:deep" in streams
    assert "assistants:odd" not in streams
    other = f"sqlite:///{tmp_path}/other.db"
    again = runfold("import", file, "--db", other)
    # An import replaces what is nested too deep.
    assert (again.code, again.err) == (0, "")
    assert runfold("status", "--json", "--db", other).document == [
        {"status": "completed", "runs": 3},
        {"status": "queued", "runs": 1},
    ]
