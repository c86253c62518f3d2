"""Migrations: equal to the declared tables, beside a host's own, and safe in parallel."""

import multiprocessing
import shutil
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from projections import Views
from projections.database import migrations
from projections.database.engine import open_engine
from projections.database.schema import REVISION, VERSION_TABLE, metadata
from tests.support.command_line import runfold
from tests.support.cost_fixtures import price_list
from tests.support.paths import ROOT
from tests.support.run_builder import created, ended
from tracker.core.events import RunCompleted
from tracker.core.usage import Usage
from tracker.errors import SchemaError
from tracker.event_store import Append, open_event_store

pytestmark = pytest.mark.integration

# Indexes of expressions.
OF_EXPRESSIONS = ("ix_runs_tokens", "ix_run_costs_total")

OURS = {*metadata.tables, VERSION_TABLE}


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url, create=True)
    yield engine
    engine.dispose()


def table_names(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based")
def test_all_migrations_together_are_the_declared_tables(engine: Engine) -> None:
    migrations.upgrade(engine)

    def include_object(found: Any, name: str | None, *_: Any) -> bool:
        # SQLAlchemy cannot read these of SQLite.
        return engine.dialect.name != "sqlite" or name not in OF_EXPRESSIONS

    with engine.connect() as connection:
        declared = {it.name for table in metadata.tables.values() for it in table.indexes}
        assert set(OF_EXPRESSIONS) <= declared
        options = {
            "include_name": migrations.include_name,
            "include_object": include_object,
            "version_table": VERSION_TABLE,
            "compare_type": True,
            "compare_server_default": True,
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
    assert table_names(engine) == OURS


def test_the_declared_revision_is_the_newest(engine: Engine) -> None:
    assert migrations.current(engine) is None
    migrations.upgrade(engine)
    assert migrations.current(engine) == migrations.head() == REVISION
    migrations.check(engine)


def test_a_host_keeps_its_tables_and_its_own_alembic(engine: Engine) -> None:
    with engine.begin() as connection:
        for statement in (
            "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)",
            "INSERT INTO alembic_version VALUES ('host42')",
            "CREATE TABLE invoices (id INTEGER PRIMARY KEY, total INTEGER)",
            "INSERT INTO invoices VALUES (1, 100)",
        ):
            connection.execute(text(statement))

    migrations.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO runfold_checkpoints VALUES ('runs', 7, 1, NULL, NULL, NULL)")
        )
    migrations.upgrade(engine)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT position FROM runfold_checkpoints")).scalar() == 7
    migrations.downgrade(engine, "base")
    assert table_names(engine) == {"alembic_version", "invoices", VERSION_TABLE}
    assert migrations.current(engine) is None
    migrations.upgrade(engine)

    assert table_names(engine) == OURS | {"alembic_version", "invoices"}
    with engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM alembic_version")).scalar() == "host42"
        assert connection.execute(text("SELECT total FROM invoices")).scalar() == 100
        assert connection.execute(text("SELECT count(*) FROM runfold_checkpoints")).scalar() == 0


def test_views_are_filled_again_after_down_and_up(database_url: str) -> None:
    store = open_event_store(database_url)
    store.append([Append("assistants:run_1", 0, [created()])])
    engine = open_engine(database_url)
    found = []
    for _ in range(2):
        with Views(database_url, store=store) as views:
            views.upgrade()
            assert views.catch_up() == 1
            found.append((views.runs(), views.phases("run_1")))
        migrations.downgrade(engine, "base")
    assert [len(rows) for rows in found[0]] == [1, 1]
    assert found[0] == found[1]
    assert store.last_position() == 1
    engine.dispose()
    store.close()


def test_costs_are_counted_again_after_down_and_up(database_url: str, engine: Engine) -> None:
    store = open_event_store("memory://")
    end = ended(
        RunCompleted, 9, stamp=8, since=7, usage=Usage(prompt_tokens=5, completion_tokens=1)
    )
    store.append([Append("assistants:run_1", 0, [created(model="small"), end])])
    found = []
    for _ in range(2):
        with Views(database_url, store=store, prices=price_list("small")) as views:
            views.upgrade()
            assert views.catch_up() == 2
            found.append((views.cost(), views.usage(), views.verify()))
        migrations.downgrade(engine, "base")
        assert table_names(engine) == {VERSION_TABLE}
    assert found[0] == found[1]
    assert found[0][0][0].total_dollars == Decimal("0.000018")
    store.close()


def _upgrade(url: str, barrier: object) -> None:
    engine = open_engine(url, create=True)
    barrier.wait(120)  # type: ignore[attr-defined]
    migrations.upgrade(engine)
    engine.dispose()


def test_four_processes_upgrade_at_once(database_url: str, engine: Engine) -> None:
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(4)
    processes = [spawn.Process(target=_upgrade, args=(database_url, barrier)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    assert migrations.current(engine) == REVISION


def test_tables_of_a_newer_release_are_left_alone(database_url: str, engine: Engine) -> None:
    migrations.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with Views(database_url) as views:
        for call in (views.upgrade, views.runs, views.catch_up):
            with pytest.raises(SchemaError, match=rf"at 9999, .* {REVISION}.*newer release"):
                call()


def _release_a_second_revision(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adds a revision 0002 with a new column to this release."""
    shutil.copytree(ROOT / "alembic", folder)
    (folder / "versions" / "0002_second.py").write_text(
        "import sqlalchemy as sa\n"
        "from alembic import op\n"
        "revision, down_revision = '0002', '0001'\n"
        "def upgrade():\n"
        "    op.add_column('run_costs', sa.Column('currency', sa.Text()))\n"
        "def downgrade():\n"
        "    op.drop_column('run_costs', 'currency')\n"
    )
    monkeypatch.setattr(migrations, "_scripts", lambda: folder)
    monkeypatch.setattr(migrations, "REVISION", "0002")


def test_stale_tables_are_refused_and_brought_to_the_next_revision(
    database_url: str, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_event_store("memory://")
    store.append([Append("assistants:run_1", 0, [created()])])
    with Views(database_url, store=store) as views:
        views.upgrade()
        views.catch_up()
        before = views.runs()
    with engine.begin() as connection:
        # A rebuild that was started with the tables of the first revision.
        connection.execute(text("CREATE TABLE runfold_shadow_runs (run_key TEXT)"))
        begun = "INSERT INTO runfold_checkpoints VALUES ('runs (rebuild)', 1, 1, NULL, NULL, NULL)"
        connection.execute(text(begun))

    _release_a_second_revision(tmp_path / "alembic", monkeypatch)
    with Views(database_url, store=store) as views:
        for call in (views.runs, views.catch_up):
            with pytest.raises(SchemaError, match=r"at 0001, .* needs 0002: run `runfold upgrade"):
                call()
        views.upgrade()
        assert migrations.current(engine) == "0002"
        assert views.runs() == before
        assert views.catch_up() == 0
    assert table_names(engine) == OURS
    with engine.connect() as connection:
        names = (
            connection.execute(text("SELECT projection FROM runfold_checkpoints")).scalars().all()
        )
    assert "runs" in names
    assert "runs (rebuild)" not in names

    migrations.downgrade(engine, "0001")
    assert migrations.current(engine) == "0001"
    assert "currency" not in {it["name"] for it in inspect(engine).get_columns("run_costs")}
    store.close()


def test_removed_tables_are_refused_until_they_are_made_again(
    database_url: str, engine: Engine
) -> None:
    migrations.upgrade(engine)
    migrations.downgrade(engine, "base")
    with Views(database_url) as views:
        with pytest.raises(SchemaError, match=r"at no revision, .*`runfold upgrade --db URL`"):
            views.runs()
        assert runfold("upgrade", "--db", database_url).code == 0
        assert views.runs() == []


def test_nothing_is_printed(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    migrations.upgrade(engine)
    migrations.head()
    migrations.downgrade(engine, "base")
    assert capfd.readouterr() == ("", "")


def _alembic(*arguments: str) -> str:
    command = [sys.executable, "-m", "alembic", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_alembic_itself_works_in_a_checkout(database_url: str, engine: Engine) -> None:
    _alembic("-x", f"db={database_url}", "upgrade", "head")
    assert migrations.current(engine) == REVISION
    assert "No new upgrade operations" in _alembic("-x", f"db={database_url}", "check")
    _alembic("-x", f"db={database_url}", "downgrade", "base")
    assert table_names(engine) == {VERSION_TABLE}
    assert "CREATE TABLE runs" in _alembic("-x", f"db={database_url}", "upgrade", "head", "--sql")
