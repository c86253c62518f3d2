"""A database that is shared: with LangGraph's checkpointers, a host's tables, or another schema."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.base import Checkpoint, empty_checkpoint
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from psycopg.rows import dict_row
from sqlalchemy import text

from projections import Views
from projections.database import migrations
from projections.database.engine import open_engine
from projections.database.schema import SHADOW_PREFIX
from tests.support.command_line import runfold
from tests.support.run_builder import created
from tracker.errors import SchemaError, SettingsError
from tracker.event_store import Append, open_event_store
from tracker.heartbeats.table import heartbeats_in

pytestmark = pytest.mark.integration

THREAD: Any = {"configurable": {"thread_id": "thread_1", "checkpoint_ns": ""}}


@contextmanager
def open_saver(url: str) -> Iterator[Any]:
    """Yields LangGraph's own checkpointer on a database, installed."""
    saver: Any
    if url.startswith("sqlite"):
        with closing(
            sqlite3.connect(url.removeprefix("sqlite:///"), check_same_thread=False)
        ) as connection:
            saver = SqliteSaver(connection)
            saver.setup()
            yield saver
    else:
        with psycopg.connect(
            url, autocommit=True, prepare_threshold=0, row_factory=dict_row
        ) as connected:
            saver = PostgresSaver(connected)
            saver.setup()
            yield saver


def put(saver: Any) -> Checkpoint:
    checkpoint = empty_checkpoint()
    saver.put(THREAD, checkpoint, {"source": "input", "step": 1}, {})
    return checkpoint


def track(url: str, *run_ids: str) -> Views:
    """Records runs in a database, and returns its views."""
    store = open_event_store(url)
    for run_id in run_ids:
        store.append([Append(f"assistants:{run_id}", 0, [created(run_id=run_id)])])
    store.close()
    views = Views(url)
    views.upgrade()
    views.catch_up()
    return views


def execute(url: str, *statements: str) -> None:
    engine = open_engine(url, create=True)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def names(views: Views) -> list[str]:
    return sorted(row.run_id for row in views.runs())


@pytest.mark.parametrize("is_first", [True, False], ids=["before", "after"])
def test_beside_the_checkpointers_of_langgraph(database_url: str, is_first: bool) -> None:
    if is_first:
        with open_saver(database_url) as saver:
            kept = put(saver)
    with track(database_url, "run_1", "run_2") as views, open_saver(database_url) as saver:
        if not is_first:
            kept = put(saver)
        views.rebuild()
        assert saver.get(THREAD)["id"] == kept["id"]
        assert put(saver)["id"] != kept["id"]
        assert names(views) == ["run_1", "run_2"]
        assert views.doctor().is_healthy
        engine = open_engine(database_url)
        migrations.downgrade(engine, "base")
        engine.dispose()
        assert len(list(saver.list(THREAD))) == 2


FOREIGN = {
    "runs": "CREATE TABLE runs (id INTEGER)",
    "open_runs": "CREATE VIEW open_runs AS SELECT 1 AS one",
    "ix_runs_created_at": "CREATE INDEX ix_runs_created_at ON mine (id)",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_others_have_under_our_names_is_refused(database_url: str, name: str) -> None:
    execute(database_url, "CREATE TABLE mine (id INTEGER)", FOREIGN[name])
    cure = "a file of its own"
    if database_url.startswith("postgresql"):
        cure = "schema=runfold"
    with Views(database_url) as views:
        for call in (views.upgrade, views.prepare):
            with pytest.raises(SchemaError, match=rf"runfold needs: {name}; .*{cure}"):
                call()
    done = runfold("upgrade", "--db", database_url)
    assert (done.code, name in done.message) == (1, True)
    engine = open_engine(database_url)
    assert migrations.current(engine) is None
    engine.dispose()
    kind = "VIEW" if name == "open_runs" else "INDEX" if name.startswith("ix_") else "TABLE"
    execute(database_url, f"DROP {kind} {name}")
    with track(database_url, "run_1") as views:
        assert names(views) == ["run_1"]


def in_schema(url: str, path: str) -> str:
    return f"{url}?options=-csearch_path%3D{path}"


def test_two_schemas_of_one_database(postgres_db: str) -> None:
    execute(postgres_db, "CREATE SCHEMA b", 'CREATE SCHEMA "Ann\'s"')
    tenant = in_schema(postgres_db, "b,public")
    with track(postgres_db, "run_1", "run_2") as public, Views(tenant) as views:
        for call in (views.runs, views.catch_up, views.usage):
            with pytest.raises(SchemaError, match="at no revision"):
                call()
        assert views.doctor().schema.state == "missing"
        assert [it.position for it in views.doctor().projections] == [0] * 7
        # A rebuild of the other one has begun.
        execute(postgres_db, f"CREATE TABLE {SHADOW_PREFIX}runs (run_key TEXT)")
        with track(tenant, "run_b"):
            pass
        assert names(views) == ["run_b"]
        views.rebuild()
        store = open_event_store(tenant)
        assert store.last_position() == 1
        assert heartbeats_in(store) == []
        store.close()
        execute(postgres_db, f"SELECT * FROM {SHADOW_PREFIX}runs")
        execute(postgres_db, f"DROP TABLE {SHADOW_PREFIX}runs")
        assert (names(views), names(public)) == (["run_b"], ["run_1", "run_2"])
        with track(in_schema(postgres_db, "%22Ann's%22,b,public")) as third:
            assert names(third) == []
        engine = open_engine(tenant)
        migrations.downgrade(engine, "base")
        with pytest.raises(SchemaError, match="at no revision"):
            migrations.check(engine)
        engine.dispose()
        public.rebuild()
        assert names(public) == ["run_1", "run_2"]
        assert public.verify() == []


@pytest.mark.parametrize("path", ["later,public", "later", "%22$user%22,later,public"])
def test_a_schema_that_is_missing_is_not_passed_over(postgres_db: str, path: str) -> None:
    url = in_schema(postgres_db, path)
    with pytest.raises(SettingsError, match="CREATE SCHEMA later"):
        open_event_store(url)
    with Views(url) as views, pytest.raises(SettingsError, match="CREATE SCHEMA later"):
        views.upgrade()
    execute(postgres_db, "CREATE SCHEMA later")
    with track(url, "run_1") as views:
        assert names(views) == ["run_1"]


def test_the_schema_of_a_user_is_the_first(postgres_db: str) -> None:
    execute(postgres_db, "CREATE SCHEMA runfold")
    with track(postgres_db, "run_1") as views:
        assert names(views) == ["run_1"]
    with Views(in_schema(postgres_db, "public")) as views:
        assert views.doctor().schema.state == "missing"
