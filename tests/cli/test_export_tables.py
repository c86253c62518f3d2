"""`runfold export --table` and `--all-tables`: to files, to a folder, to standard output."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pyarrow import parquet
from sqlalchemy import text

from projections import Views
from projections.database.engine import open_engine
from projections.database.schema import VERSION_TABLE
from projections.export.tables import TABLES
from tests.support.command_line import SECONDS, environment, run_body, runfold, write_lines
from tests.support.run_builder import created
from tracker.event_store import Append, open_event_store

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Path:
    """A new folder, as the current one, with three runs in the default database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNFOLD_DB", database_url)
    bodies = [run_body(f"run_{number}", created_at=1_750_000_000 + number) for number in range(3)]
    write_lines(tmp_path / "import.jsonl", *bodies)
    assert runfold("import", "import.jsonl").code == 0
    return tmp_path


@pytest.mark.parametrize("name", ["runs.jsonl", "runs.jsonl.gz", "runs.parquet"])
def test_a_table_in_the_format_of_the_name(folder: Path, database_url: str, name: str) -> None:
    done = runfold("export", name, "--table", "runs")
    assert (done.code, done.out, done.err) == (0, "3 rows of runs exported\n", "")
    with Views(database_url) as views:
        rows = views.runs(limit=None).to_arrow().drop_columns("total_dollars")
        expected = rows.to_pylist()[::-1]
    if name.endswith(".parquet"):
        found = parquet.read_table(folder / name).to_pylist()
        assert found == expected
        return
    content = (folder / name).read_bytes()
    lines = gzip.decompress(content) if name.endswith(".gz") else content
    found = [json.loads(line) for line in lines.splitlines()]
    assert [row["run_key"] for row in found] == [row["run_key"] for row in expected]
    assert found[0]["created_at"] == "2025-06-15T15:06:40Z"
    assert found[0]["metadata"] == {}
    assert found[0]["error_code"] is None


def test_format_overrides_the_name(folder: Path) -> None:
    assert runfold("export", "a.dat", "--table", "runs", "--format", "parquet").code == 0
    assert parquet.read_table(folder / "a.dat").num_rows == 3
    assert runfold("export", "b.parquet", "--table", "runs", "--format", "jsonl").code == 0
    assert (folder / "b.parquet").read_bytes().startswith(b'{"run_key":"assistants:run_0",')
    assert runfold("export", "c", "--events", "--format", "jsonl.gz").code == 0
    assert gzip.decompress((folder / "c").read_bytes()).startswith(b'{"stream":')


def test_new_events_are_applied_first(folder: Path, database_url: str) -> None:
    store = open_event_store(database_url)
    store.append([Append("assistants:run_9", 0, [created(run_id="run_9")])])
    store.close()
    assert runfold("export", "runs.jsonl", "--table", "runs").out == "4 rows of runs exported\n"


def test_runs_of_a_time(folder: Path) -> None:
    limits = ("--since", "2025-06-15T15:06:41", "--until", "2025-06-15T15:06:42")
    file = folder / "phases.jsonl"
    done = runfold("export", file, "--table", "run_phases", *limits)
    assert done.code == 0
    keys = {json.loads(line)["run_key"] for line in file.read_bytes().splitlines()}
    assert keys == {"assistants:run_1"}


@pytest.mark.parametrize("format", ["jsonl", "jsonl.gz", "parquet"])
def test_all_tables(folder: Path, format: str) -> None:
    done = runfold("export", "deep/all", "--all-tables", "--format", format)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == "3 rows of runs exported"
    assert len(done.out.splitlines()) == len(TABLES)
    found = {file.name for file in (folder / "deep" / "all").iterdir()}
    assert found == {f"{table}.{format}" for table in TABLES}


@pytest.mark.parametrize("arguments", [[], ["-"], ["--format", "jsonl.gz"]])
def test_to_the_standard_output(folder: Path, arguments: list[str]) -> None:
    name = "runs.jsonl.gz" if "--format" in arguments else "runs.jsonl"
    runfold("export", name, "--table", "runs")
    done = subprocess.run(
        [sys.executable, "-m", "tracker.cli", "export", "--table", "runs", *arguments],
        cwd=folder,
        env=environment() | {"RUNFOLD_DB": os.environ["RUNFOLD_DB"]},
        capture_output=True,
        timeout=SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, b"3 rows of runs exported\n")
    assert done.stdout == (folder / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.csv", "--table", "runs"], "no format for a.csv: pass one of jsonl, jsonl.gz, "),
        (["a", "--table", "runs", "--format", "csv"], "'csv' is not a format of tables: jsonl, "),
        (["--table", "runs", "--format", "parquet"], "Parquet cannot be written to stdout: "),
        (["a.jsonl", "--table", "run"], "no table 'run' to export: runs, run_phases, "),
        (["a.jsonl", "--table", "checkpoints"], "no table 'checkpoints' to export: runs, "),
        (["no/a.jsonl", "--table", "runs"], "no/a.jsonl cannot be written: "),
        (["import.jsonl/a.jsonl", "--table", "runs"], "import.jsonl/a.jsonl cannot be written: "),
        (["x" * 300, "--table", "runs", "--format", "jsonl"], "xxx"),
        (["import.jsonl", "--all-tables"], "import.jsonl cannot be created: "),
        (["import.jsonl/all", "--all-tables"], "import.jsonl/all cannot be created: "),
        (["--all-tables"], "--all-tables needs a folder: "),
        (["-", "--all-tables"], "--all-tables needs a folder: "),
        (["a.jsonl", "--table", "runs", "--events"], "pass one of --events, "),
        (["a", "--all-tables", "--since", "2026-01-01"], "--since and --until need --table "),
        (
            ["a.jsonl", "--table", "usage_totals", "--since", "2026-01-01"],
            "usage_totals has sums over runs: since and until apply to runs, run_phases, ",
        ),
    ],
)
def test_invalid_exports_fail(folder: Path, arguments: list[str], message: str) -> None:
    there = {file: file.read_bytes() for file in folder.iterdir() if "runs.db" not in file.name}
    done = runfold("export", *arguments)
    assert done.code == 2
    assert done.message.startswith(message)
    after = {file: file.read_bytes() for file in folder.iterdir() if "runs.db" not in file.name}
    assert after == there


@pytest.mark.parametrize("arguments", [["a.parquet", "--table", "runs"], ["all", "--all-tables"]])
def test_parquet_without_its_library(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    # The import system does this for a missing module.
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = runfold("export", *arguments, "--format", "parquet")
    assert (done.code, done.message) == (2, 'this needs pyarrow: pip install "runfold[arrow]"')
    assert not (folder / arguments[0]).exists()
    assert runfold("export", "a.jsonl", "--table", "runs").code == 0


def test_tables_of_another_release(folder: Path, database_url: str) -> None:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0000'"))
    engine.dispose()
    for arguments in (["a.jsonl", "--table", "runs"], ["all", "--all-tables"]):
        done = runfold("export", *arguments)
        assert done.code == 1
        assert done.message.startswith("the tables are at 0000, this release needs ")
        assert "runfold upgrade" in done.message
        assert not (folder / arguments[0]).exists()
