"""`runfold export`, and `runfold import` of folders, packed files and exports."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from projections import Views
from tests.support.command_line import SECONDS, environment, run_body, runfold, write_lines
from tracker.import_export.line_reader import LONGEST_LINE

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new folder, as the current one, for the default database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNFOLD_DB", raising=False)
    return tmp_path


def fill(folder: Path) -> None:
    write_lines(folder / "runs.jsonl", *(run_body(f"run_{number}") for number in range(3)))
    assert runfold("import", folder / "runs.jsonl").code == 0


def read_statuses(db: str = "sqlite:///runfold.db") -> dict[str, str]:
    with Views(db) as views:
        return {row.run_id: row.status for row in views.runs(limit=None)}


@pytest.mark.parametrize("name", ["events.jsonl", "events.jsonl.gz"])
def test_an_export_can_be_imported(folder: Path, name: str, database_url: str) -> None:
    fill(folder)
    assert runfold("export", name, "--events").out == "9 events exported\n"
    copy = "sqlite:///copy.db" if database_url.startswith("sqlite") else database_url
    done = runfold("import", name, "--db", copy)
    assert (done.code, done.err) == (0, "")
    assert done.out == "9 recorded events imported, 9 new events, 3 new runs\n"
    assert (
        read_statuses(copy)
        == read_statuses()
        == {f"run_{number}": "completed" for number in range(3)}
    )
    assert runfold("export", f"again.{name}", "--events", "--db", copy).code == 0
    assert (folder / f"again.{name}").read_bytes() == (folder / name).read_bytes()
    assert runfold("import", name).out.startswith("9 recorded events imported, 0 new events")
    assert not list(folder.glob("*.part"))


def test_to_the_standard_output(folder: Path) -> None:
    fill(folder)
    runfold("export", "events.jsonl", "--events")
    done = subprocess.run(
        [sys.executable, "-m", "tracker.cli", "export", "--events"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        timeout=SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, b"9 events exported\n")
    assert done.stdout == (folder / "events.jsonl").read_bytes()
    assert [json.loads(line)["version"] for line in done.stdout.splitlines()] == [1, 2, 3] * 3


def test_invalid_exports_fail(folder: Path) -> None:
    done = runfold("export", "events.jsonl", "--events")
    assert (done.code, "no database" in done.message) == (1, True)
    assert list(folder.iterdir()) == []
    fill(folder)
    done = runfold("export", "events.jsonl")
    said = "pass one of --events, --table NAME and --all-tables"
    assert (done.code, done.message) == (2, said)
    done = runfold("export", "events.parquet", "--events", "--format", "parquet")
    said = "events are exported as jsonl or jsonl.gz, not as 'parquet'"
    assert (done.code, done.message) == (2, said)
    done = runfold("export", "no/such/events.jsonl", "--events")
    assert done.code == 2
    assert done.message.startswith("no/such/events.jsonl cannot be written: ")
    done = runfold("export", folder, "--events")
    assert done.code == 2
    assert done.message.startswith(f"{folder} cannot be written: ")


def test_a_history_that_differs_fails_the_command(folder: Path) -> None:
    fill(folder)
    runfold("export", "events.jsonl", "--events")
    file = folder / "events.jsonl"
    file.write_bytes(file.read_bytes().replace(b"run.completed/1", b"run.cancelled/1", 1))
    done = runfold("import", file)
    assert done.code == 1
    assert done.out == "8 recorded events imported, 0 new events, 0 new runs\n"
    assert done.err.startswith(f"{file}:3: assistants:run_0: its version 3 is another event")
    assert read_statuses()["run_0"] == "completed"


def test_files_and_folders_packed_or_not(folder: Path) -> None:
    below = folder / "logs" / "2026"
    below.mkdir(parents=True)
    write_lines(below / "b.jsonl", run_body("run_1"), "nonsense")
    packed = gzip.compress(json.dumps(run_body("run_2")).encode() + b"\n{\n")
    (below / "a.json.gz").write_bytes(packed)
    # Compression is detected by content, not by name; several gzip members may follow each other.
    (folder / "logs" / "c.json").write_bytes(packed + packed)
    (folder / "logs" / "d.jsonl.gz").write_text(json.dumps(run_body("run_3")))
    (folder / "logs" / "notes.txt").write_text("no run")
    single = write_lines(folder / "single.txt", run_body("run_4"))
    done = runfold("import", single, "logs", "logs/c.json")
    assert done.code == 1
    assert done.out.startswith("6 snapshots imported")
    assert [line.split(": ")[0] for line in done.err.splitlines()] == [
        "logs/2026/a.json.gz:2",
        "logs/2026/b.jsonl:2",
        "logs/c.json:2",
        "logs/c.json:4",
    ]
    assert set(read_statuses()) == {"run_1", "run_2", "run_3", "run_4"}


def test_a_damaged_gzip_file_is_imported_up_to_the_damage(folder: Path) -> None:
    lines = b"".join(json.dumps(run_body(f"run_{n}")).encode() + b"\n" for n in range(3_000))
    (folder / "cut.jsonl.gz").write_bytes(gzip.compress(lines)[:-2_000])
    spoiled = bytearray(gzip.compress(lines))
    spoiled[len(spoiled) // 2] ^= 0xFF
    (folder / "spoiled.jsonl.gz").write_bytes(spoiled)
    write_lines(folder / "whole.jsonl", run_body("run_whole"))
    done = runfold("import", folder)
    assert done.code == 1
    # The damage may also show as bad lines before decompression fails.
    assert "cut.jsonl.gz:" in done.err
    assert "spoiled.jsonl.gz:" in done.err
    assert "the file cannot be read from here on" in done.err
    assert {"run_0", "run_1000", "run_whole"} <= read_statuses().keys()


def test_a_line_without_an_end_is_a_bad_line(folder: Path) -> None:
    file = write_lines(
        folder / "runs.jsonl", b'"' + b"x" * (2 * LONGEST_LINE) + b'"', run_body("run_1")
    )
    done = runfold("import", file)
    assert done.code == 1
    assert done.err == f"{file}:1: longer than 16 MB: write one document a line\n"
    assert set(read_statuses()) == {"run_1"}


def test_a_missing_file_stops_the_import_before_it_starts(folder: Path) -> None:
    file = write_lines(folder / "runs.jsonl", run_body("run_1"))
    done = runfold("import", file, "missing.jsonl")
    assert (done.code, done.message) == (
        2,
        "no file missing.jsonl: say which JSON lines to import",
    )
    assert not (folder / "runfold.db").exists()
