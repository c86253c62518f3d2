"""`runfold import`: each line that is a run is recorded, each other one is reported."""

import codecs
import json
import subprocess
import sys
from pathlib import Path

import pytest

from projections import Views
from tests.support.command_line import (
    SECONDS,
    environment,
    finish,
    run_body,
    runfold,
    start,
    write_lines,
)
from tracker import open_event_store

pytestmark = pytest.mark.integration

DB = "sqlite:///runfold.db"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new folder, as the current one, for the default database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNFOLD_DB", raising=False)
    return tmp_path


def read_statuses() -> dict[str, str]:
    with Views(DB) as views:
        return {row.run_id: row.status for row in views.runs(limit=None)}


def test_a_good_file(folder: Path) -> None:
    file = write_lines(folder / "runs.jsonl", run_body("run_1", "queued"), run_body("run_1"))
    done = runfold("import", file)
    assert done.code == 0
    assert done.out == "2 snapshots imported, 3 new events, 1 new runs\n"
    assert done.err == ""
    assert read_statuses() == {"run_1": "completed"}


def test_peculiarities_are_counted(folder: Path) -> None:
    odd = run_body("run_1") | {"usage": None, "created_at": 1_700_000_000_000}
    file = write_lines(folder / "runs.jsonl", odd, run_body("run_2") | {"usage": None}, "{garbage")
    done = runfold("import", file)
    assert done.code == 1
    assert (
        "accepted, but not as documented: 2 with no usage, 1 with stamps not in seconds\n"
    ) in done.out


def test_the_same_file_again_adds_nothing(folder: Path) -> None:
    file = write_lines(folder / "runs.jsonl", run_body("run_1", "queued"), run_body("run_1"))
    runfold("import", file)
    again = runfold("import", file)
    assert again.code == 0
    assert again.out == "2 snapshots imported, 0 new events, 0 new runs\n"


def test_bad_lines_are_named_and_the_rest_is_kept(folder: Path) -> None:
    file = write_lines(
        folder / "runs.jsonl",
        run_body("run_1"),
        "{garbage",
        "",
        run_body("run_2"),
        [1, 2],
        {"hello": "world"},
        run_body(""),
        run_body("run_3", status=7),
        run_body("run_4", status=None),
        {"observed_at": "noon", "body": run_body("run_5")},
        {"observed_at": 1_750_000_020, "body": "no run"},
        run_body("run_6"),
    )
    done = runfold("import", file)
    assert done.code == 1
    assert done.out.startswith("3 snapshots imported, 9 new events, 3 new runs")
    named = [line.removeprefix(f"{file}:").split(": ", 1) for line in done.err.splitlines()]
    reasons = {int(number): reason for number, reason in named}
    assert sorted(reasons) == [2, 5, 6, 7, 8, 9, 10, 11]
    assert "not JSON" in reasons[2]
    assert "observed_at" in reasons[10]
    assert all(reasons.values())
    assert read_statuses().keys() == {"run_1", "run_2", "run_6"}


def test_many_bad_lines_are_counted(folder: Path) -> None:
    file = write_lines(folder / "runs.jsonl", *["nonsense"] * 1_030, run_body("run_1"))
    done = runfold("import", file)
    assert done.code == 1
    assert len(done.err.splitlines()) == 21
    assert done.err.endswith("… and 1,010 more bad lines\n")
    assert read_statuses() == {"run_1": "completed"}


def test_a_wrapped_line_has_its_own_time_and_source(folder: Path) -> None:
    wrapped = {
        "observed_at": "2025-06-15T17:00:00+02:00",
        "source": "azure",
        "body": run_body("run_1", "in_progress"),
    }
    file = write_lines(folder / "runs.jsonl", wrapped, {"body": run_body("run_2")})
    assert runfold("import", file, "--source", "mine").code == 0
    with Views(DB) as views:
        rows = {row.run_id: row for row in views.runs(limit=None)}
    assert rows["run_1"].source == "azure"
    assert rows["run_1"].first_seen_at.isoformat() == "2025-06-15T15:00:00+00:00"
    assert rows["run_2"].source == "mine"


@pytest.mark.parametrize("content", [b"", b"\n\n  \n", codecs.BOM_UTF8])
def test_an_empty_file(folder: Path, content: bytes) -> None:
    file = folder / "empty.jsonl"
    file.write_bytes(content)
    done = runfold("import", file)
    assert done.code == 1
    assert "empty.jsonl" in done.message
    assert "empty" in done.message or "blank" in done.message


def test_a_missing_file_makes_no_database(folder: Path) -> None:
    done = runfold("import", "missing.jsonl")
    assert done.code == 2
    assert done.message == "no file missing.jsonl: say which JSON lines to import"
    assert list(folder.iterdir()) == []


def test_a_folder_without_such_files(folder: Path) -> None:
    (folder / "below").mkdir()
    (folder / "below" / "runs.txt").write_text("{}")
    done = runfold("import", folder / "below")
    assert done.code == 2
    assert done.message.startswith(f"{folder / 'below'} has no file *.jsonl")
    assert not (folder / "runfold.db").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_a_pipe_instead_of_a_file(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tracker.cli", "import", "/dev/stdin"],
        cwd=folder,
        env=environment(),
        input=json.dumps(run_body("run_1")),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert read_statuses() == {"run_1": "completed"}


def test_a_byte_order_mark_is_ignored(folder: Path) -> None:
    file = folder / "runs.jsonl"
    file.write_bytes(codecs.BOM_UTF8 + json.dumps(run_body("run_1")).encode())
    assert runfold("import", file).code == 0
    assert read_statuses() == {"run_1": "completed"}


def test_a_file_in_utf_16_is_rejected_with_a_cure(folder: Path) -> None:
    file = folder / "runs.jsonl"
    file.write_text(json.dumps(run_body("run_1")), encoding="utf-16")
    done = runfold("import", file)
    assert done.code == 1
    assert done.message == f"{file} is UTF-16: save it as UTF-8, and import that"


def test_binary_lines_are_bad_lines(folder: Path) -> None:
    latin = json.dumps(run_body("run_2", model="naïve"), ensure_ascii=False).encode("latin-1")
    file = write_lines(folder / "runs.jsonl", bytes(range(11, 256)), latin, run_body("run_1"))
    done = runfold("import", file)
    assert done.code == 1
    numbers = [line.removeprefix(f"{file}:").split(":")[0] for line in done.err.splitlines()]
    assert numbers == ["1", "2"]
    assert read_statuses() == {"run_1": "completed"}


def test_two_processes_at_once_record_each_event_once(folder: Path) -> None:
    bodies = [
        run_body(f"run_{number}", status)
        for number in range(150)
        for status in ("queued", "in_progress", "completed")
    ]
    file = write_lines(folder / "runs.jsonl", *bodies)
    both = [start("import", file, folder=folder) for _ in range(2)]
    for done in [finish(process) for process in both]:
        assert done.code == 0, done.err
        assert done.out.startswith("450 snapshots imported")
    store = open_event_store(DB)
    recorded = store.read_all(limit=10_000)
    store.close()
    assert len({(entry.stream, entry.version) for entry in recorded}) == len(recorded) == 450
    assert set(read_statuses().values()) == {"completed"}
    assert len(read_statuses()) == 150


def test_runs_of_all_apis_are_recognised_by_their_shape(folder: Path) -> None:
    response = {"id": "resp_1", "object": "response", "status": "failed", "created_at": 1}
    turn = {"id": "turn_1", "object": "agent.session.turn", "status": "waiting"}
    graph = {"run_id": "lg_1", "thread_id": "t_1", "status": "timeout", "created_at": "2026-01-01"}
    calls = [{"type": "function_call", "call_id": "call_1", "name": "price"}]
    asking = response | {"id": "resp_2", "status": "completed", "output": calls}
    following = response | {"id": "resp_3", "previous_response_id": "resp_2"}
    file = write_lines(
        folder / "runs.jsonl",
        run_body("run_1"),
        response,
        turn,
        graph,
        {"source": "azure", "body": response},
        following,
        asking,
    )
    assert runfold("import", file).code == 0
    with Views(DB) as views:
        found = {row.run_key: row.status for row in views.runs(limit=None)}
    assert found == {
        "assistants:run_1": "completed",
        "responses:resp_1": "failed",
        "agents:turn_1": "requires_action",
        "langgraph:lg_1": "expired",
        "azure:resp_1": "failed",
        "responses:resp_2": "completed",
        "responses:resp_3": "failed",
    }
    assert "0 new events" in runfold("import", file).out
    assert runfold("import", file, "--source", "mine").code == 0
    with Views(DB) as views:
        assert {row.source for row in views.runs(limit=None)} >= {"mine", "azure"}
