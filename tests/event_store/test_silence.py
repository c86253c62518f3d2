"""Connections to PostgreSQL that die quietly, or that the server ends while they are idle."""

from contextlib import closing

import psycopg
import pytest
from sqlalchemy import text

from projections import Views
from projections.database.engine import translate_errors
from tests.support.postgres import PostgresServer
from tests.support.run_builder import STATUS_CHANGED
from tests.support.troubled_proxy import troubled_proxy
from tracker import open_event_store
from tracker.errors import StoreUnavailable
from tracker.event_store import Append, postgres_connections
from tracker.event_store.postgres_connections import Patience, connect
from tracker.event_store.postgres_url import connection_settings
from tracker.event_store.recorder_store import RecorderEventStore
from tracker.leases.postgres import PostgresLeases

pytestmark = pytest.mark.integration

LOST_HOST = {
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}


def test_a_connection_that_goes_silent_is_given_up(
    postgres_db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_connections, "STATEMENT_SECONDS", 0.4)
    with troubled_proxy(postgres_db) as proxy, closing(open_event_store(proxy.url)) as store:
        store.append([Append("a:1", 0, [STATUS_CHANGED])])
        assert not store.wait(1, 0.01)
        proxy.silence()
        with pytest.raises(StoreUnavailable, match="did not answer within"):
            store.append([Append("a:2", 0, [STATUS_CHANGED])])
        # The others are not tried out one by one, and neither is the one that listens.
        store.append([Append("a:2", 0, [STATUS_CHANGED])])
        assert store.wait(1, 60)


def test_leases_are_renewed_on_another_connection(
    postgres_db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_event_store(postgres_db).close()
    with troubled_proxy(postgres_db) as proxy:
        leases = PostgresLeases(proxy.url, ["assistants"], "worker")
        held = leases.renew().held
        leases._patience.seconds = 0.3
        proxy.silence()
        assert leases.renew().held == held
        leases.release()


def test_an_idle_connection_that_was_ended_fails_no_call(
    postgres: PostgresServer, postgres_db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_connections, "_TRUSTED_SECONDS", 0.0)
    name = postgres_db.rpartition("/")[2]
    leases = PostgresLeases(postgres_db, ["assistants"], "worker")
    with closing(open_event_store(postgres_db)) as store:
        for number in range(4):
            store.append([Append(f"a:{number}", 0, [STATUS_CHANGED])])
            assert store.wait(number, 60)
            assert leases.renew().held
            # As an idle timeout does.
            postgres.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                f"WHERE datname = '{name}' AND state = 'idle'"
            )
        assert leases.renew().held
        leases.release()


def test_a_store_that_is_being_left_waits_for_one_call_only(postgres_db: str) -> None:
    with troubled_proxy(postgres_db) as proxy, closing(open_event_store(proxy.url)) as store:
        assert isinstance(store, RecorderEventStore)
        assert store.last_position() == 0
        store.hurry()
        proxy.leave()
        with pytest.raises(StoreUnavailable):
            store.last_position()
        with pytest.raises(StoreUnavailable, match="while the tracker was being left"):
            store.last_position()


def test_the_wait_of_a_statement_ends_within_a_transaction(postgres_db: str) -> None:
    connection = connect(connection_settings(postgres_db), Patience(0.2), autocommit=True)
    with pytest.raises(psycopg.OperationalError, match="did not answer"), connection.transaction():
        connection.execute("SELECT pg_sleep(30)")
    assert connection.closed


def test_views_ask_again_on_other_connections(
    postgres_db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_connections, "STATEMENT_SECONDS", 0.3)
    monkeypatch.setattr(postgres_connections, "_ARRIVAL_SECONDS", 0.1)
    with troubled_proxy(postgres_db) as proxy, Views(proxy.url) as views:
        views.upgrade()
        assert views.runs() == []
        proxy.silence()
        # Connections of the pool are tried out before they are used.
        assert views.runs() == []
        with views._connect() as connection:
            connection.execute(text("SELECT 1"))
            proxy.silence()
            with (
                pytest.raises(StoreUnavailable, match="did not answer within"),
                translate_errors(connection.engine),
            ):
                connection.execute(text("SELECT 1"))
        assert views.runs() == []
        proxy.leave()
        with pytest.raises(StoreUnavailable):
            views.runs()
        proxy.come_back()
        assert views.runs() == []


def test_a_question_takes_as_long_as_the_server_works_at_it(
    postgres_db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_connections, "STATEMENT_SECONDS", 0.1)
    with Views(postgres_db) as views:
        views.upgrade()
        with views._connect() as connection:
            assert connection.execute(text("SELECT 7 FROM pg_sleep(0.7)")).scalar() == 7


def test_a_lost_host_is_noticed_on_all_connections(postgres_db: str) -> None:
    """By the operating system, with the settings of libpq."""
    with closing(open_event_store(postgres_db)) as store, Views(postgres_db) as views:
        views.upgrade()
        assert isinstance(store, RecorderEventStore)
        leases = connect(connection_settings(postgres_db), Patience())
        with (
            store.transaction(commit=False) as cursor,
            views._connect() as connection,
            closing(leases),
        ):
            of_views = connection.connection.driver_connection
            assert isinstance(of_views, psycopg.Connection)
            for it in (cursor.connection, of_views, leases):
                given = it.info.get_parameters()
                assert {name: given[name] for name in LOST_HOST} == LOST_HOST
