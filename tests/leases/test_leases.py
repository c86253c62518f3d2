"""Leases on shards: divided fairly by the database's clock, never held by two."""

from collections.abc import Iterator

import psycopg
import pytest

from tracker import open_event_store
from tracker.errors import StoreUnavailable
from tracker.leases.postgres import PostgresLeases
from tracker.leases.shards import SHARDS, Shard, shard_of

pytestmark = pytest.mark.integration


@pytest.fixture
def url(postgres_db: str) -> str:
    open_event_store(postgres_db).close()
    return postgres_db


@pytest.fixture
def workers(url: str) -> Iterator[list[PostgresLeases]]:
    opened = [PostgresLeases(url, ["assistants"], f"worker_{number}") for number in range(4)]
    yield opened
    for worker in opened:
        worker.release()


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())


def renew_twice(workers: list[PostgresLeases]) -> list[frozenset[Shard]]:
    """Renews all leases twice, and returns the shards of each worker."""
    for _ in range(2):
        held = [worker.renew().held for worker in workers]
    return held


def test_who_is_alone_has_all_at_once(workers: list[PostgresLeases]) -> None:
    assert workers[0].renew().held == {Shard("assistants", number) for number in range(SHARDS)}


@pytest.mark.parametrize("number", [2, 3, 4])
def test_shards_are_divided_fairly_and_each_is_held_once(
    workers: list[PostgresLeases], number: int
) -> None:
    workers[0].renew()
    held = renew_twice(workers[:number])
    assert sum(len(each) for each in held) == SHARDS == len(frozenset().union(*held))
    assert max(len(each) for each in held) - min(len(each) for each in held) <= number


def test_who_leaves_is_followed_at_once(workers: list[PostgresLeases]) -> None:
    renew_twice(workers[:3])
    workers[0].release()
    assert sum(len(each) for each in renew_twice(workers[1:3])) == SHARDS


def test_what_a_dead_worker_held_is_claimed_once_it_has_expired(
    url: str, workers: list[PostgresLeases]
) -> None:
    renew_twice(workers[:2])
    assert len(workers[0].renew().held) == SHARDS / 2
    expired = "SET expires_at = clock_timestamp() - interval '1 ms' WHERE worker = 'worker_1'"
    for table in ("runfold_leases", "runfold_workers"):
        execute(url, f"UPDATE {table} {expired}")
    assert len(workers[0].renew().held) == SHARDS
    # The dead one was only slow: it has lost what it had, and comes in again.
    assert workers[1].renew().held == frozenset()
    held = renew_twice(workers[:2])
    assert [len(each) for each in held] == [SHARDS / 2, SHARDS / 2]
    assert not held[0] & held[1]


def test_a_lease_that_expired_and_that_nobody_wanted_is_renewed(
    url: str, workers: list[PostgresLeases]
) -> None:
    held = workers[0].renew().held
    execute(url, "UPDATE runfold_leases SET expires_at = clock_timestamp() - interval '1 hour'")
    assert workers[0].renew().held == held


def test_the_end_of_a_dead_workers_leases_is_not_slept_through(
    url: str, workers: list[PostgresLeases]
) -> None:
    renew_twice(workers[:2])
    assert workers[0].renew().renew_in == 2
    execute(
        url,
        "UPDATE runfold_leases SET expires_at = clock_timestamp() + interval '0.5 s' "
        "WHERE worker = 'worker_1'",
    )
    assert 0.1 < workers[0].renew().renew_in < 0.6


def test_a_row_that_somebody_has_locked_is_passed_over(
    url: str, workers: list[PostgresLeases]
) -> None:
    workers[0].renew()
    with psycopg.connect(url) as connection:
        connection.execute("SELECT FROM runfold_leases WHERE shard = 7 FOR UPDATE")
        assert len(workers[0].renew().held) == SHARDS - 1
    assert len(workers[0].renew().held) == SHARDS


def test_each_source_is_divided_among_those_that_have_it(url: str) -> None:
    both = PostgresLeases(url, ["assistants", "other"], "both")
    one = PostgresLeases(url, ["assistants"], "one")
    held = renew_twice([both, one])
    assert {shard.source for shard in held[1]} == {"assistants"}
    assert sum(shard.source == "other" for shard in held[0]) == SHARDS
    assert len(held[1]) == SHARDS / 2
    both.release()
    one.release()


def test_a_connection_that_broke_is_opened_again(url: str, workers: list[PostgresLeases]) -> None:
    held = workers[0].renew().held
    execute(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    assert workers[0].renew().held == held


def test_a_database_that_does_not_answer_is_said(url: str, workers: list[PostgresLeases]) -> None:
    workers[0].renew()
    execute(url, "ALTER TABLE runfold_leases RENAME TO put_away")
    with pytest.raises(StoreUnavailable, match="leases of worker_0 could not be renewed"):
        workers[0].renew()
    execute(url, "ALTER TABLE put_away RENAME TO runfold_leases")


def test_workers_long_dead_are_buried(url: str, workers: list[PostgresLeases]) -> None:
    renew_twice(workers[:2])
    long_ago = "clock_timestamp() - interval '2 minutes'"
    execute(url, f"UPDATE runfold_workers SET expires_at = {long_ago} WHERE worker = 'worker_1'")
    workers[0].renew()
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT worker FROM runfold_workers").fetchall()
    assert rows == [("worker_0",)]


def test_threads_spread_evenly_and_the_same_in_every_process() -> None:
    counts = [0] * SHARDS
    for number in range(100_000):
        counts[shard_of("assistants", f"thread_{number:024x}").number] += 1
    assert 200 < min(counts) <= max(counts) < 600
    assert shard_of("assistants", "thread_1") == ("assistants", 77)
    assert shard_of("assistants", "half \ud800").number < SHARDS
