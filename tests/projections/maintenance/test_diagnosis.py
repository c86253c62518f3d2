"""Findings of the doctor, for tables in each state."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from projections import Views
from projections.database.engine import open_engine
from projections.database.schema import REVISION, VERSION_TABLE
from projections.maintenance.diagnosis import Diagnosis
from projections.maintenance.pruning import Pruned
from projections.views import PROJECTIONS
from tests.support.command_line import run_body, runfold, write_lines
from tests.support.run_builder import BIRTH, created, values_of
from tracker.errors import StoreUnavailable
from tracker.event_store import Append, EventStore, open_event_store

pytestmark = pytest.mark.integration

NAMES = [*(it.name for it in PROJECTIONS), "costs"]


@pytest.fixture
def store() -> EventStore:
    store = open_event_store("memory://")
    for number in range(5):
        store.append([Append(f"assistants:run_{number}", 0, [created(run_id=f"run_{number}")])])
    return store


def execute(url: str, *statements: str) -> None:
    engine = open_engine(url, create=True)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def diagnose(url: str, store: EventStore) -> Diagnosis:
    with Views(url, store=store) as views:
        return views.doctor()


def projection_states(found: Diagnosis) -> list[str]:
    return [it.state for it in found.projections]


def test_from_nothing_to_all_well(database_url: str, store: EventStore) -> None:
    execute(database_url, "CREATE TABLE of_others (id INTEGER)")
    found = diagnose(database_url, store)
    assert values_of(found.schema) == ("missing", None, REVISION, "runfold upgrade")
    assert not found.is_healthy
    assert [it.name for it in found.projections] == NAMES
    assert projection_states(found) == ["behind"] * len(NAMES)
    with Views(database_url, store=store) as views:
        views.upgrade()
        assert (projection_states(views.doctor()), views.doctor().is_healthy) == (
            ["behind"] * len(NAMES),
            True,
        )
        assert {it.lag for it in views.doctor().projections} == {5}
        views.catch_up()
        views.prune(BIRTH)
        found = views.doctor()
    assert found.is_healthy
    assert values_of(found.schema) == ("ok", REVISION, REVISION, None)
    assert (found.last_position, found.pruned_before) == (5, BIRTH)
    for it, projection in zip(found.projections, PROJECTIONS, strict=False):
        assert values_of(it)[1:] == (
            "ok",
            projection.version,
            projection.version,
            5,
            0,
            None,
            None,
            None,
        )


def test_each_ailment_has_its_cure(database_url: str, store: EventStore) -> None:
    with Views(database_url, store=store) as views:
        views.upgrade()
        views.catch_up()
    execute(
        database_url,
        "UPDATE runfold_checkpoints SET version = 99 WHERE projection = 'runs'",
        "UPDATE runfold_checkpoints SET failure = 'it hurts', position = 3 "
        "WHERE projection = 'phases'",
        "UPDATE runfold_checkpoints SET position = 9 WHERE projection = 'actions'",
        "UPDATE runfold_checkpoints SET version = 0 WHERE projection = 'steps'",
        "UPDATE runfold_checkpoints SET position = 4 WHERE projection = 'usage'",
        "INSERT INTO runfold_checkpoints VALUES ('timing (rebuild)', 2, 1, NULL, NULL, NULL)",
    )
    found = diagnose(database_url, store)
    assert not found.is_healthy
    assert projection_states(found) == [
        "newer",
        "failed",
        "ahead",
        "outdated",
        "behind",
        "rebuilding",
        "ok",
    ]
    assert [it.lag for it in found.projections] == [0, 2, 0, 0, 1, 0, 0]
    assert (found.projections[1].failure, found.projections[5].rebuilt_to) == ("it hurts", 2)
    cures = [it.cure or "" for it in found.projections]
    for cure, word in zip(
        cures[:6],
        ("newer release", "catch-up", "--all", "catch-up", "catch-up", "rebuild timing"),
        strict=True,
    ):
        assert word in cure
    execute(
        database_url,
        "DELETE FROM runfold_checkpoints "
        "WHERE projection IN ('runs', 'phases', 'actions', 'steps')",
    )
    assert diagnose(database_url, store).is_healthy
    execute(database_url, "UPDATE runfold_checkpoints SET failure = 'no' WHERE position = 2")
    assert diagnose(database_url, store).projections[5].state == "failed"


@pytest.mark.parametrize("lacking", [(), ("pruned_before",), ("failure", "pruned_before")])
def test_tables_of_an_older_release(
    database_url: str, store: EventStore, lacking: tuple[str, ...]
) -> None:
    with Views(database_url, store=store) as views:
        views.upgrade()
    execute(
        database_url,
        f"UPDATE {VERSION_TABLE} SET version_num = '0000'",
        *(f"ALTER TABLE runfold_checkpoints DROP COLUMN {column}" for column in lacking),
        "INSERT INTO runfold_checkpoints (projection, position, version) VALUES ('runs', 2, 0)",
    )
    found = diagnose(database_url, store)
    assert values_of(found.schema) == ("outdated", "0000", REVISION, "runfold upgrade")
    assert (found.projections[0].state, found.projections[0].position) == ("outdated", 2)
    assert not found.is_healthy


@pytest.mark.parametrize(
    "spoil",
    [
        "DROP TABLE runfold_checkpoints",
        "ALTER TABLE runfold_checkpoints RENAME COLUMN position TO place",
        "ALTER TABLE runfold_checkpoints RENAME COLUMN projection TO name",
    ],
)
def test_tables_of_a_newer_release(database_url: str, store: EventStore, spoil: str) -> None:
    with Views(database_url, store=store) as views:
        views.upgrade()
        views.catch_up()
    execute(database_url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'", spoil)
    found = diagnose(database_url, store)
    assert values_of(found.schema)[:3] == ("newer", "9999", REVISION)
    assert not found.is_healthy


def test_no_database(tmp_path: Path) -> None:
    with Views(f"sqlite:///{tmp_path}/none.db") as views, pytest.raises(StoreUnavailable):
        views.doctor()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def imported(tmp_path: Path) -> str:
    old = {"created_at": 1_600_000_000, "completed_at": 1_600_000_009, "started_at": 1_600_000_001}
    file = write_lines(
        tmp_path / "runs.jsonl",
        run_body("run_1"),
        run_body("run_2", thread_id="thread_2", **old),
        run_body("run_3", "in_progress", thread_id="thread_2"),
    )
    url = f"sqlite:///{tmp_path}/runs.db"
    assert runfold("import", file, "--db", url).code == 0
    return url


def test_doctor_on_the_command_line(imported: str) -> None:
    well = runfold("doctor", "--db", imported)
    assert (well.code, well.err) == (0, "")
    assert f"tables: ok, at {REVISION}" in well.out
    assert "cure" not in well.out
    document = runfold("doctor", "--json", "--db", imported).document
    assert document["healthy"] is True
    assert [it["name"] for it in document["projections"]] == NAMES
    execute(
        imported,
        "UPDATE runfold_checkpoints SET failure = 'it \x1b[31mhurts' WHERE projection = 'runs'",
    )
    ill = runfold("doctor", "--db", imported)
    assert ill.code == 1
    assert r"runs: it \x1b[31mhurts" in ill.out
    assert "runs: failed; cure: read the failure, then run: runfold catch-up" in ill.out
    assert runfold("doctor", "--json", "--db", imported).code == 1
    execute(imported, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    assert (
        "tables: newer; cure: the tables belong to a newer"
        in runfold("doctor", "--db", imported).out
    )


def test_doctor_of_a_database_without_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/empty.db"
    execute(url, "CREATE TABLE of_others (id INTEGER)")
    ill = runfold("doctor", "--db", url)
    assert ill.code == 1
    assert "tables: missing; cure: runfold upgrade" in ill.out


def test_prune_on_the_command_line(imported: str) -> None:
    counted = runfold("prune", "--days", "2000", "--dry-run", "--db", imported)
    said = "from the tables, with 2 phases, 0 actions and 0 steps\n"
    assert (counted.code, counted.out) == (0, f"1 runs would be deleted {said}")
    assert runfold("prune", "--days", "2000", "--db", imported).out == f"1 runs deleted {said}"
    assert runfold("prune", "--days", "2000", "--db", imported).out.startswith("0 runs")
    assert runfold("verify", "--db", imported).code == 0
    assert "pruned: runs that ended before 20" in runfold("doctor", "--db", imported).out
    [usage] = runfold("usage", "--json", "--db", imported).document
    assert (usage["runs"], usage["total_tokens"]) == (2, 84)
    assert runfold("prune", "--days", "-1", "--db", imported).code == 2


def test_forget_on_the_command_line(imported: str) -> None:
    def usage() -> dict[str, int]:
        [row] = runfold("usage", "--json", "--db", imported).document
        return {name: row[name] for name in ("runs", "total_tokens")}

    unsure = runfold("forget", "thread_2", "--db", imported)
    assert (unsure.code, "--yes" in unsure.message) == (2, True)
    refused = runfold("forget", "thread_2", "--yes", "--db", imported)
    assert (refused.code, "run_3" in refused.message) == (1, True)
    other = runfold("forget", "thread_2", "--yes", "--source", "none", "--db", imported)
    assert (other.code, other.out) == (1, "")
    done = runfold("forget", "thread_2", "--yes", "--force", "--db", imported)
    assert done.code == 0
    assert done.out.startswith("deleted 2 runs with ")
    assert done.out.endswith(", 2 of them in the tables\n")
    assert runfold("history", "run_2", "--db", imported).code == 1
    assert runfold("status", "--json", "--by", "thread_id", "--db", imported).document == [
        {"thread_id": "thread_1", "status": "completed", "runs": 1}
    ]
    # The sums contain no thread ids; they keep its runs until the rebuild.
    assert usage() == {"runs": 2, "total_tokens": 84}
    spoilt = runfold("verify", "--db", imported)
    assert spoilt.code == 1
    assert "run_" not in spoilt.out.replace("run_phases", "")
    assert runfold("rebuild", "--all", "--db", imported).code == 0
    assert usage() == {"runs": 1, "total_tokens": 42}
    assert runfold("verify", "--db", imported).code == 0


def test_of_a_thread_only_the_rows_of_one_source_go(database_url: str) -> None:
    store = open_event_store("memory://")
    for source in ("one", "two"):
        first = created(run_id="r", source=source, thread_id="t" * 400)
        store.append([Append(f"{source}:r", 0, [first])])
    with Views(database_url, store=store) as views:
        views.upgrade()
        views.catch_up()
        # Rows of runs that have events stay.
        assert views.remove_thread("t" * 400) == Pruned(0, 0, 0, 0)
        store.forget(["one:r", "two:r"])
        assert views.remove_thread("t" * 400, "two") == Pruned(1, 1, 0, 0)
        assert [run.source for run in views.runs(limit=None)] == ["one"]
        assert views.remove_thread("t" * 400) == Pruned(1, 1, 0, 0)
        assert views.prune(timedelta(0), dry_run=True).runs == 0
