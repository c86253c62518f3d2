"""Everything behind PgBouncer in transaction mode, and what is left on its connections."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from projections import Views
from tests.support.pgbouncer import find_pgbouncer, running_pgbouncer
from tests.support.postgres import PostgresServer
from tests.support.tracker_settings import PLAIN, tracker_of
from tests.support.waiting import until
from tracker import Delivery, open_event_store
from tracker.core.events import RunEnded
from tracker.simulator import Simulator

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        find_pgbouncer() is None, reason="PgBouncer is not installed: apt-get install pgbouncer"
    ),
]

RUNS = 30
# Each client has its own; PgBouncer sets them for it.
OF_CLIENTS = {"TimeZone", "DateStyle", "client_encoding", "application_name", "IntervalStyle"}


def settings_of(connection: psycopg.Connection[Any]) -> dict[str, str]:
    rows = connection.execute("SELECT name, setting FROM pg_settings").fetchall()
    return {
        name: setting
        for name, setting in rows
        if name not in OF_CLIENTS and "transaction" not in name
    }


def check_server_connections(pooled: str, direct: str) -> int:
    """Compares all connections of the pool with a new one; returns their number."""
    name = make_url(direct).database
    with psycopg.connect(direct, autocommit=True) as connection:
        expected = settings_of(connection)
        zone = connection.execute("SHOW TimeZone").fetchone()
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            (name,),
        ).fetchall()
    pids = set()
    with ExitStack() as stack:
        for _ in rows:
            # In a transaction that stays open, so that the next has another connection.
            client = stack.enter_context(psycopg.connect(pooled, prepare_threshold=None))
            [(pid,)] = client.execute("SELECT pg_backend_pid()").fetchall()
            pids.add(pid)
            assert settings_of(client) == expected
            assert client.execute("SHOW TimeZone").fetchone() == zone
            assert client.execute("SELECT pg_listening_channels()").fetchall() == []
            assert client.execute("SELECT name FROM pg_prepared_statements").fetchall() == []
            held = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            assert client.execute(held).fetchall() == []
    assert pids == {pid for (pid,) in rows}
    return len(pids)


def test_two_trackers_with_handlers_and_views(postgres: PostgresServer, postgres_db: str) -> None:
    with running_pgbouncer(postgres) as port, Simulator(parameters=PLAIN) as simulator:
        pooled = make_url(postgres_db).set(port=port).render_as_string(hide_password=False)
        ended: list[str] = []

        async def scenario() -> None:
            trackers = [tracker_of(pooled, simulator) for _ in range(2)]

            for tracker in trackers:

                @tracker.on(RunEnded, since="start")
                def take(delivery: Delivery) -> None:
                    ended.append(delivery.run_id)

            async with trackers[0], trackers[1]:
                runs = [
                    await trackers[number % 2].runs.create(
                        simulator.create_thread(), assistant_id="asst_1"
                    )
                    for number in range(RUNS)
                ]
                for number, run in enumerate(runs):
                    # Each waits for those that the other created.
                    state = await trackers[1 - number % 2].wait(run.id, timeout=300)
                    assert state.status == "completed"
                await until(lambda: len(set(ended)) == RUNS)
                await until(lambda: len(views.runs(limit=100)) == RUNS)

        with Views(pooled) as views:
            views.upgrade()
            stop = threading.Event()
            follower = threading.Thread(target=views.follow, args=(stop,), kwargs={"every": 0.1})
            follower.start()
            try:
                asyncio.run(scenario())
            finally:
                stop.set()
                follower.join()
        assert check_server_connections(pooled, postgres_db) >= 1
        store = open_event_store(postgres_db)
        ends = [it.stream for it in store.read_all(0, 10_000) if isinstance(it.event, RunEnded)]
        store.close()
        assert len(ends) == len(set(ends)) == RUNS
