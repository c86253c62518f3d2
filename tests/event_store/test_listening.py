"""Waiting for events: its delay, and its behaviour beside a database in trouble."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.support.paths import ROOT
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.run_builder import STATUS_CHANGED as EVENT
from tests.support.waiting import PATIENCE, block_until
from tracker import EventStore, open_event_store
from tracker.errors import StoreUnavailable
from tracker.event_store import Append, postgres_listener

pytestmark = pytest.mark.integration

APPENDER = """
import sys
from tests.support.run_builder import STATUS_CHANGED as EVENT
from tracker import open_event_store
from tracker.event_store import Append, postgres_listener
store = open_event_store(sys.argv[1])
for number in range(10):
    sys.stdin.readline()
    store.append([Append(f"other:{number}", 0, [EVENT])])
store.close()
"""


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    urls = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/runs.db"}
    opened = open_event_store(urls.get(request.param) or request.getfixturevalue("postgres_db"))
    yield opened
    opened.close()


def wait(store: EventStore, after: int) -> bool:
    return store.wait(after, PATIENCE)


@pytest.fixture
def without_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look by itself on PostgreSQL: what wakes is a notification."""
    monkeypatch.setattr(postgres_listener, "_FALLBACK_SECONDS", 10 * PATIENCE)


@pytest.mark.usefixtures("without_fallback")
def test_it_wakes(store: EventStore) -> None:
    with ThreadPoolExecutor(1) as threads:
        for number in range(10):
            waiting = threads.submit(wait, store, store.last_position())
            time.sleep(0.02)
            store.append([Append(f"a:{number}", 0, [EVENT])])
            assert waiting.result()


@pytest.mark.usefixtures("without_fallback")
def test_it_wakes_for_another_process(database_url: str) -> None:
    store = open_event_store(database_url)
    other = subprocess.Popen(
        [sys.executable, "-c", APPENDER, database_url], cwd=ROOT, stdin=subprocess.PIPE, text=True
    )
    assert other.stdin is not None
    with other, ThreadPoolExecutor(1) as threads:
        for number in range(10):
            waiting = threads.submit(wait, store, number)
            time.sleep(0.02)
            other.stdin.write("\n")
            other.stdin.flush()
            assert waiting.result()
    store.close()


def sessions(url: str, condition: str = "true") -> list[tuple[int, str, str]]:
    """Process id, state and last query of the database's other sessions."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT pid, state, query FROM pg_stat_activity WHERE datname = current_database() "
            f"AND pid <> pg_backend_pid() AND {condition}".encode()
        ).fetchall()


def waiting_session(url: str) -> int:
    """The process id of the session that waits, once it does."""
    found: list[tuple[int, str, str]] = []

    def is_waiting() -> bool:
        found[:] = sessions(url, "query LIKE 'SELECT EXISTS%' AND state = 'idle'")
        return bool(found)

    block_until(is_waiting)
    return found[0][0]


def test_no_transaction_is_open_while_it_waits(postgres_db: str) -> None:
    store = open_event_store(postgres_db)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(store.wait, 0, 3.0)
        waiting_session(postgres_db)
        assert sessions(postgres_db, "backend_xmin IS NOT NULL OR state LIKE '%transaction%'") == []
        assert not waiting.result()
    store.close()


def test_a_writer_of_another_make_is_seen(postgres_db: str) -> None:
    store = open_event_store(postgres_db)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(wait, store, 0)
        waiting_session(postgres_db)
        with psycopg.connect(postgres_db) as connection:
            connection.execute(
                "INSERT INTO runfold_events (originator_id, originator_version, topic, state) "
                "VALUES ('a:1', 1, 'run.created/1', '{}')"
            )
        assert waiting.result()
    store.close()


def test_all_connections_may_break(postgres_db: str) -> None:
    store = open_event_store(postgres_db)
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(wait, store, 0) for _ in range(3)]
        waiting_session(postgres_db)
        time.sleep(0.2)
        # The pool's own too, as when the server starts anew.
        for pid, _, _ in sessions(postgres_db):
            with psycopg.connect(postgres_db) as connection:
                connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
        waiting_session(postgres_db)
        other = open_event_store(postgres_db)
        other.append([Append("a:1", 0, [EVENT])])
        assert all(it.result() for it in waiting)
        other.close()
    # And those kept for the next to wait.
    for pid, _, _ in sessions(postgres_db, "query LIKE 'UNLISTEN%'"):
        with psycopg.connect(postgres_db) as connection:
            connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
    assert store.wait(0, PATIENCE)
    assert not store.wait(1, 0.2)
    store.close()


def test_without_a_connection_to_spare_it_looks_through_the_pool(
    postgres: PostgresServer, postgres_db: str
) -> None:
    store = open_event_store(postgres_db)
    assert store.last_position() == 0
    name = postgres_db.rpartition("/")[2]
    # What the pool holds stays in use; nobody gets a new one.
    postgres.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
    assert not store.wait(0, 0.2)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(wait, store, 0)
        time.sleep(0.2)
        store.append([Append("a:1", 0, [EVENT])])
        assert waiting.result()
    store.close()


def test_a_database_that_is_gone_is_said() -> None:
    with running_postgres() as server:
        store = open_event_store(server.url("postgres"))
        assert not store.wait(0, 0.1)
    with pytest.raises(StoreUnavailable, match="could not be used"):
        store.wait(0, 60)
    store.close()


def test_who_does_not_wait_does_not_listen(postgres: PostgresServer, postgres_db: str) -> None:
    store = open_event_store(postgres_db)
    assert not store.wait(0, 0.1)
    listening = sessions(postgres_db, "query LIKE 'UNLISTEN%'")
    assert len(listening) == 1
    # Nobody takes in what is sent to it, which would fill the server's queue for all.
    store.append([Append("a:1", 0, [EVENT])])
    time.sleep(0.2)
    with psycopg.connect(postgres_db) as connection:
        [usage] = connection.execute("SELECT pg_notification_queue_usage()").fetchall()
    assert usage == (0.0,)
    store.close()


def test_many_threads_wait_and_append_at_once(store: EventStore) -> None:
    """Whoever waits for the next event each time has seen them all in the end."""
    each, seen = 50, []

    def follow() -> None:
        position, count = 0, 0
        while count < 3 * each and store.wait(position, PATIENCE):
            page = store.read_all(position)
            count, position = count + len(page), page[-1].position
        seen.append(count)

    def append(name: int) -> None:
        for number in range(each):
            store.append([Append(f"{name}:{number}", 0, [EVENT])])

    threads = [threading.Thread(target=follow) for _ in range(3)]
    threads += [threading.Thread(target=append, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [3 * each] * 3
