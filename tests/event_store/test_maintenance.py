"""Appends to PostgreSQL beside its maintenance, and readers by position beside several writers."""

from contextlib import closing

import psycopg
import pytest

from tests.support.run_builder import STATUS_CHANGED
from tests.support.three_writers import run_writers
from tracker import open_event_store
from tracker.event_store import Append
from tracker.event_store.recorder_store import RecorderEventStore

pytestmark = pytest.mark.integration


def test_appends_do_not_wait_for_maintenance(postgres_db: str) -> None:
    with closing(open_event_store(postgres_db)) as store, psycopg.connect(postgres_db) as other:
        # The lock of VACUUM and of ANALYZE, held until the end.
        other.execute("LOCK TABLE runfold_events IN SHARE UPDATE EXCLUSIVE MODE")
        store.append([Append("a:1", 0, [STATUS_CHANGED])])
        assert store.last_position() == 1


def test_maintenance_does_not_wait_for_appends(postgres_db: str) -> None:
    store = open_event_store(postgres_db)
    assert isinstance(store, RecorderEventStore)
    with closing(store), store.transaction(commit=False) as appending:
        from tracker.event_store import postgres

        appending.execute(postgres._LOCK)
        with psycopg.connect(postgres_db, autocommit=True) as other:
            other.execute("SET lock_timeout = '1s'")
            for statement in ("ANALYZE runfold_events", "VACUUM FREEZE runfold_events"):
                other.execute(statement)


def test_the_lock_is_of_one_schema(postgres_db: str) -> None:
    with psycopg.connect(postgres_db) as connection:
        connection.execute("CREATE SCHEMA one")
        connection.execute("CREATE SCHEMA two")
    one, two = (open_event_store(f"{postgres_db}?schema={name}") for name in ("one", "two"))
    assert isinstance(one, RecorderEventStore)
    from tracker.event_store import postgres

    with closing(one), closing(two), one.transaction(commit=False) as appending:
        appending.execute(postgres._LOCK)
        two.append([Append("a:1", 0, [STATUS_CHANGED])])
        assert [entry.stream for entry in two.read_all()] == ["a:1"]


@pytest.mark.seeds
def test_readers_by_position_miss_nothing(postgres_db: str) -> None:
    outcome = run_writers(postgres_db, 4, maintain=True)
    assert outcome.events > 300
    assert outcome.maintained >= 3
    assert outcome.missed == 0
