"""Golden databases of every revision are brought to the newest, and verified."""

import shutil
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from projections import Views
from projections.database import migrations
from projections.database.engine import open_engine
from projections.database.schema import REVISION
from tests.golden.make_database import RUNS
from tests.support.golden_files import GOLDEN_DATABASES
from tests.support.paths import GOLDEN
from tests.support.run_builder import created
from tracker.event_store import Append, open_event_store


@pytest.fixture(params=GOLDEN_DATABASES)
def golden(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a copy of a golden database."""
    file = GOLDEN / request.param
    if file.suffix == ".db":
        return f"sqlite:///{shutil.copy(file, tmp_path)}"
    url: str = request.getfixturevalue("postgres_db")
    with psycopg.connect(url) as connection:
        connection.execute(file.read_text("utf-8").encode())
    return url


def test_both_databases_are_there_and_small() -> None:
    assert {Path(it).suffix for it in GOLDEN_DATABASES} == {".db", ".sql"}
    assert "runs_0001.db" in GOLDEN_DATABASES
    assert all((GOLDEN / it).stat().st_size < 250_000 for it in GOLDEN_DATABASES)


def test_a_golden_database_is_upgraded_caught_up_and_verified(
    golden: str, request: pytest.FixtureRequest
) -> None:
    engine = open_engine(golden)
    revision = request.node.callspec.params["golden"].partition("_")[2][:4]
    assert migrations.current(engine) == revision <= REVISION
    with engine.connect() as connection:
        before = connection.execute(text("SELECT count(*), sum(version) FROM runs")).one()
    with Views(golden) as views:
        views.upgrade()
        views.catch_up()
        assert views.verify() == []
        assert views.doctor().is_healthy
        assert len(views.runs(limit=None)) == before[0] == RUNS
        assert sum(run.version for run in views.runs(limit=None)) == before[1]
        assert {run.outcome for run in views.runs(limit=None)} == {
            *("completed", "failed", "cancelled", "expired"),
            None,
        }
        assert len(views.actions()) == RUNS
        used = sum(it.total_tokens or 0 for it in views.runs(limit=None) if it.outcome)
        assert views.usage(by=None)[0].total_tokens == used > 0
        store = open_event_store(golden)
        store.append([Append("assistants:run_new", 0, [created(run_id="run_new")])])
        store.close()
        assert views.catch_up() == 1
        views.rebuild()
        assert views.verify() == []
        assert len(views.runs(limit=None)) == RUNS + 1
    migrations.downgrade(engine, "base")
    engine.dispose()
