"""Schemas, roles that write or only read, pools that are used up, files without rights."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from projections import Views
from projections.database.engine import open_engine, translate_errors
from tests.support.paths import ROOT
from tests.support.postgres import PostgresServer
from tests.support.run_builder import STATUS_CHANGED, created_runs
from tests.support.tracker_settings import TOOLS, tracker_of
from tests.support.waiting import until
from tracker import Delivery, open_event_store
from tracker.core.events import RunEnded
from tracker.delivery.ledger import open_ledger
from tracker.errors import RunfoldError, SettingsError, StoreUnavailable
from tracker.event_store import Append, postgres_connections
from tracker.event_store.postgres_url import connection_settings, read_pool_size
from tracker.event_store.recorder_store import RecorderEventStore
from tracker.heartbeats.pace_table import paces_in
from tracker.heartbeats.table import heartbeats_in
from tracker.leases.postgres import PostgresLeases
from tracker.simulator import Simulator

pytestmark = pytest.mark.integration

# As in the manual.
GRANTS = """
GRANT USAGE ON SCHEMA app TO {writer}, {reader};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA app TO {writer};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA app TO {writer};
GRANT SELECT ON ALL TABLES IN SCHEMA app TO {reader};
"""


@pytest.fixture
def roles(postgres: PostgresServer, postgres_db: str) -> Iterator[tuple[str, str, str]]:
    """The URLs of the owner of a schema, of a writer and of a reader."""
    names = {it: f"{it}_{make_url(postgres_db).database}" for it in ("writer", "reader")}
    for name in names.values():
        postgres.execute(f"CREATE ROLE {name} LOGIN")
    with psycopg.connect(postgres_db) as connection:
        connection.execute("CREATE SCHEMA app")
    urls = [
        make_url(f"{postgres_db}?schema=app").set(username=name).render_as_string(False)
        for name in ("runfold", *names.values())
    ]
    with Views(urls[0]) as views:
        views.upgrade()
    with psycopg.connect(postgres_db) as connection:
        connection.execute(GRANTS.format(**names).encode())
    with closing(open_event_store(urls[1])) as store, Views(urls[1]) as views:
        store.append(created_runs(3))
        views.catch_up()
    yield urls[0], urls[1], urls[2]
    with psycopg.connect(postgres_db) as connection:
        connection.execute(f"DROP OWNED BY {names['writer']}, {names['reader']}".encode())
    for name in names.values():
        postgres.execute(f"DROP ROLE {name}")


def test_a_writer_needs_no_right_to_create(roles: tuple[str, str, str]) -> None:
    url = roles[1]
    store = open_event_store(url)
    assert isinstance(store, RecorderEventStore)
    with closing(store), Views(url) as views:
        store.append([Append("assistants:run_0", 1, [STATUS_CHANGED])])
        assert store.wait(3, 60)
        assert open_ledger(store).create("handlers", 4, 0) == 0
        leases = PostgresLeases(url, ["assistants"], "worker")
        assert leases.renew().held
        leases.release()
        assert views.catch_up() == 1
        assert store.forget(["assistants:run_1"]) == 1
        with pytest.raises(RunfoldError, match=r"permission denied|must be owner"):
            views.rebuild("runs")


def test_a_tracker_needs_no_right_to_create(
    roles: tuple[str, str, str], simulator: Simulator
) -> None:
    """With handlers, tools, heartbeats and tables that follow it."""
    simulator.parameters = TOOLS
    tracker = tracker_of(roles[1], simulator)
    ended: list[str] = []

    @tracker.tool
    def get_weather(city: str, unit: str = "celsius") -> str:
        return "mild"

    @tracker.on(RunEnded)
    def note(delivery: Delivery) -> None:
        ended.append(delivery.run_id)

    async def scenario() -> None:
        with Views(roles[1]) as views:
            tracker.follow(views)
            async with tracker:
                tool = {"type": "function", "function": {"name": "get_weather"}}
                run = await tracker.runs.create(
                    simulator.create_thread(), assistant_id="asst_1", tools=[tool]
                )
                assert (await tracker.wait(run.id, timeout=300)).status == "completed"
                await until(lambda: ended == [run.id])
            assert run.id in {it.run_id for it in views.runs(status="completed")}

    asyncio.run(scenario())
    with closing(open_event_store(roles[2])) as store:
        # Deleted by a tracker that leaves, and its paces stay.
        assert heartbeats_in(store) == []
        assert paces_in(store)


def test_tables_that_are_missing_are_said(roles: tuple[str, str, str]) -> None:
    with psycopg.connect(roles[0].partition("?")[0]) as connection:
        connection.execute("DROP TABLE app.runfold_tool_calls")
    with pytest.raises(StoreUnavailable, match="have the owner of the schema run `runfold upgr"):
        open_event_store(roles[1])


def test_a_reader_needs_no_right_to_write(roles: tuple[str, str, str]) -> None:
    with closing(open_event_store(roles[2])) as store, Views(roles[2]) as views:
        assert len(store.read_all()) == 3
        assert len(views.runs()) == 3
        with pytest.raises(StoreUnavailable, match="permission denied"):
            store.append([Append("assistants:run_0", 1, [STATUS_CHANGED])])


def test_a_replica_is_read(postgres: PostgresServer, postgres_db: str) -> None:
    """Every transaction of a replica is read-only."""
    with closing(open_event_store(postgres_db)) as store, Views(postgres_db) as views:
        store.append(created_runs(3))
        views.upgrade()
        views.catch_up()
    name = postgres_db.rpartition("/")[2]
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with closing(open_event_store(postgres_db)) as store, Views(postgres_db) as views:
        assert len(views.runs()) == 3
        assert store.wait(2, 60)
        with pytest.raises(StoreUnavailable, match="read-only"):
            store.append(created_runs(4)[3:])


def test_sslmode_is_that_of_the_url(postgres_db: str) -> None:
    assert connection_settings(f"{postgres_db}?sslmode=verify-full")["sslmode"] == "verify-full"
    # This server has no certificate.
    with pytest.raises(StoreUnavailable, match="SSL"):
        open_event_store(f"{postgres_db}?sslmode=require")
    with (
        Views(f"{postgres_db}?sslmode=require") as views,
        pytest.raises(StoreUnavailable, match="SSL"),
    ):
        views.runs()


@pytest.mark.parametrize("size", ["0", "-1", "many", "1.5"])
def test_a_pool_has_a_size(postgres_db: str, size: str) -> None:
    with pytest.raises(SettingsError, match="pool_size"):
        read_pool_size(f"{postgres_db}?pool_size={size}")


def test_a_pool_that_is_used_up_is_said(postgres_db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_connections, "POOL_TIMEOUT_SECONDS", 0.2)
    store = open_event_store(f"{postgres_db}?pool_size=2")
    assert isinstance(store, RecorderEventStore)
    with closing(store), ExitStack() as held:
        for _ in range(2):
            held.enter_context(store.transaction(commit=False))
        with pytest.raises(StoreUnavailable, match="couldn't get a connection"):
            store.last_position()
    with closing(open_event_store(postgres_db)) as other:
        assert other.last_position() == 0


def test_a_pool_of_tables_that_is_used_up_is_said(postgres_db: str) -> None:
    engine = open_engine(f"{postgres_db}?pool_size=1")
    engine.pool._timeout = 0.1  # type: ignore[attr-defined]
    with (
        engine.connect(),
        engine.connect(),
        pytest.raises(StoreUnavailable, match="pool_size"),
        translate_errors(engine),
    ):
        engine.connect()
    engine.dispose()


READ_ONLY = """
import os, sys
from tests.support.run_builder import created_runs
from tracker import open_event_store
from tracker.errors import StoreUnavailable
from tracker.event_store import sqlite
# The tests may run as one who may write anything.
if os.geteuid() == 0:
    os.setuid(65534)
try:
    open_event_store(sys.argv[1]).append(created_runs(1))
except StoreUnavailable as error:
    print(error)
"""


@pytest.mark.parametrize("closed", ["the file", "the folder"])
def test_a_file_without_rights_is_said(closed: str) -> None:
    # Not in a folder of pytest, which others cannot enter.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "runs.db"
        with closing(open_event_store(f"sqlite:///{file}")) as store:
            store.append(created_runs(3))
        file.chmod(0o444)
        folder.chmod(0o555 if closed == "the file" else 0o000)
        reading = subprocess.run(
            [sys.executable, "-c", READ_ONLY, f"sqlite:///{file}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        folder.chmod(0o700)
    assert str(file) in reading.stdout, reading.stderr
    reasons = ("readonly database", "unable to open", "Permission denied")
    assert any(reason in reading.stdout for reason in reasons)
