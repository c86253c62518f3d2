"""`runfold export` never destroys the database that it reads, nor another file unasked."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from projections import Views
from projections.export.tables import TABLES
from tests.support.command_line import SECONDS, environment, runfold, write_lines
from tests.support.odd_documents import check_good_runs, good_runs, make_input, read_cases
from tracker.errors import SettingsError
from tracker.event_store import open_event_store

pytestmark = pytest.mark.integration

CASES = read_cases("export", "export_over_store")
URL = "sqlite:///runs.db"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with three runs."""
    folder = tmp_path_factory.mktemp("original")
    file = write_lines(folder / "good.jsonl", *good_runs())
    assert runfold("import", file, "--db", f"sqlite:///{folder}/runs.db").code == 0
    return folder / "runs.db"


@pytest.fixture(autouse=True)
def database(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it in a new folder, the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNFOLD_DB", raising=False)
    return Path(shutil.copy(original, tmp_path))


def link(make: Callable[[Path, Path], None]) -> Callable[[Path], Path]:
    def place(database: Path) -> Path:
        made = database.with_name("linked.jsonl")
        make(database, made)
        return made

    return place


PLACES: dict[str, Callable[[Path], Path]] = {
    "itself": lambda database: database,
    "another path": lambda database: (
        database.parent / "." / ".." / database.parent.name / "runs.db"
    ),
    "symbolic link": link(lambda database, made: made.symlink_to(database)),
    "hard link": link(lambda database, made: os.link(database, made)),
    "write-ahead log": lambda database: database.with_name("runs.db-wal"),
    "lock of the tracker": lambda database: database.with_name("runs.db-tracker"),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_database_is_refused_under_any_name(database: Path, place: str) -> None:
    target, before = PLACES[place](database), database.read_bytes()
    for what in (["--events"], ["--table", "runs", "--format", "jsonl", "--force"]):
        done = runfold("export", target, *what, "--db", URL)
        assert done.code == 2
        assert "the database runs.db is there, which is what is exported" in done.message
        assert database.read_bytes() == before


def test_a_database_that_is_named_like_a_temporary_file_is_refused(database: Path) -> None:
    database.rename("x.part")
    before = Path("x.part").read_bytes()
    done = runfold("export", "x", "--events", "--force", "--db", "sqlite:///x.part")
    assert (done.code, Path("x.part").read_bytes()) == (2, before)


def test_a_database_in_the_place_of_a_table_is_refused(database: Path) -> None:
    Path("out").mkdir()
    database.rename("out/run_phases.jsonl")
    url = "sqlite:///out/run_phases.jsonl"
    done = runfold("export", "out", "--all-tables", "--force", "--db", url)
    assert done.code == 2
    assert [it.name for it in Path("out").iterdir()] == ["run_phases.jsonl"]
    assert runfold("status", "--db", url).code == 0


def test_an_output_that_is_the_database_is_refused(database: Path) -> None:
    before = database.read_bytes()
    with database.open("ab") as output:
        done = subprocess.run(
            [sys.executable, "-m", "tracker.cli", "export", "--events", "--db", URL],
            env=environment(),
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            timeout=SECONDS,
        )
    assert (done.returncode, database.read_bytes()) == (2, before)
    assert done.stderr == "runfold: the output is the database runs.db: name another file\n"


@pytest.mark.parametrize("what", [["--events"], ["--table", "runs"]], ids=str)
def test_a_file_that_exists_is_replaced_if_that_is_asked_for(what: list[str]) -> None:
    file = Path("notes.jsonl")
    file.write_text("dear diary")
    done = runfold("export", file, *what, "--db", URL)
    assert (done.code, file.read_text()) == (2, "dear diary")
    assert done.message.startswith(
        "notes.jsonl exists already: name another place, or pass --force"
    )
    assert runfold("export", file, *what, "--force", "--db", URL).code == 0
    assert file.read_text().startswith("{")


def test_tables_that_exist_are_replaced_together_or_not_at_all() -> None:
    assert runfold("export", "out", "--all-tables", "--db", URL).code == 0
    Path("out/runs.jsonl").write_text("mine")
    done = runfold("export", "out", "--all-tables", "--db", URL)
    assert (done.code, Path("out/runs.jsonl").read_text()) == (2, "mine")
    assert f"and {len(TABLES) - 1} more" in done.message
    assert runfold("export", "out", "--all-tables", "--force", "--db", URL).code == 0
    assert "mine" not in Path("out/runs.jsonl").read_text()


def test_devices_are_written_as_before() -> None:
    assert runfold("export", os.devnull, "--events", "--db", URL).out == "9 events exported\n"


def test_the_library_refuses_the_database_too(database: Path) -> None:
    before = database.read_bytes()
    with Views(URL) as views:
        with pytest.raises(SettingsError, match="which is what is exported"):
            views.export("runs", database, format="jsonl")
        with pytest.raises(SettingsError, match="which is what is exported"):
            views.export("runs", "runs.db-wal", format="jsonl")
        with views.as_of(0) as past:
            for target in (database, "runs.db-wal"):
                with pytest.raises(SettingsError, match="which is what is exported"):
                    past.export("runs", target, format="jsonl")
            assert past.export("runs", "past.jsonl") == 0
        database.with_name("runs.jsonl").symlink_to(database)
        for answers in (views, views.as_of(9)):
            with pytest.raises(SettingsError, match="which is what is exported"):
                answers.export_all(database.parent)
    # The events may come from another file than the tables.
    with (
        closing(open_event_store(URL)) as store,
        Views("sqlite:///tables.db", store=store) as views,
    ):
        views.upgrade()
        views.catch_up()
        for answers in (views, views.as_of(9)):
            for target in (database, "tables.db"):
                with pytest.raises(SettingsError, match="which is what is exported"):
                    answers.export("runs", target, format="jsonl")
    assert database.read_bytes() == before


@pytest.mark.skipif(not CASES, reason="no odd documents beside this checkout")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_an_odd_export(case: dict[str, Any], database: Path) -> None:
    write_lines(Path("case.jsonl"), *make_input(case))
    assert runfold("import", "case.jsonl", "--db", URL).code == 0
    before = database.read_bytes()
    asked = case["expect"]["export"].replace("{database file}", str(database)).split()
    done = runfold("export", *asked, "--db", URL)
    assert (done.code, database.read_bytes()) == (case["expect"]["exit"], before)
    check_good_runs(URL)


@pytest.mark.parametrize(
    "named",
    [["thread_2"], ["thread_1", "--source", "other"], ["--run", "run_9"], ["--run", "run_good_1 "]],
    ids=str,
)
def test_a_typo_in_forget_fails(named: list[str]) -> None:
    done = runfold("forget", *named, "--yes", "--db", URL)
    assert (done.code, done.out) == (1, "")
    assert "check the id and the database" in done.message


def test_what_was_forgotten_is_not_there_to_be_forgotten() -> None:
    assert runfold("forget", "thread_1", "--yes", "--db", URL).code == 0
    assert runfold("forget", "thread_1", "--yes", "--db", URL).code == 1
