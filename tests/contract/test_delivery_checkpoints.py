"""Checkpoints of handlers: one suite over every database and over memory."""

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tracker import EventStore, open_event_store
from tracker.delivery.checkpoints import Checkpoints, open_checkpoints
from tracker.errors import SettingsError, StoreUnavailable


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    match request.param:
        case "sqlite":
            return f"sqlite:///{tmp_path}/runs.db"
        case "postgres":
            postgres: str = request.getfixturevalue("postgres_db")
            return postgres
        case _:
            return "memory://"


@pytest.fixture
def store(url: str) -> Iterator[EventStore]:
    opened = open_event_store(url)
    yield opened
    opened.close()


@pytest.fixture
def checkpoints(store: EventStore) -> Checkpoints:
    return open_checkpoints(store)


def test_a_new_name_begins_where_it_is_told_and_a_known_one_where_it_is(
    checkpoints: Checkpoints,
) -> None:
    assert checkpoints.read("a") is None
    assert checkpoints.get_or_create("a", 7) == 7
    assert checkpoints.get_or_create("a", 9) == 7
    assert checkpoints.read("a") == 7
    assert checkpoints.get_or_create("b'; --", 1) == 1


def test_only_who_knows_the_place_moves_it(checkpoints: Checkpoints) -> None:
    checkpoints.get_or_create("a", 0)
    checkpoints.get_or_create("b", 0)
    assert checkpoints.advance("a", 0, 5)
    assert not checkpoints.advance("a", 0, 3)
    assert not checkpoints.advance("nobody", 0, 3)
    assert (checkpoints.read("a"), checkpoints.read("b")) == (5, 0)


def test_a_name_is_one_holders_until_it_gives_it_up(checkpoints: Checkpoints) -> None:
    checkpoints.get_or_create("a", 5)
    checkpoints.get_or_create("b", 0)
    assert checkpoints.hold("a", "one", 60)
    assert not checkpoints.hold("a", "other", 60)
    assert checkpoints.hold("a", "one", 60)
    assert checkpoints.hold("b", "other", 60)
    checkpoints.release("a", "other")
    assert not checkpoints.hold("a", "other", 60)
    checkpoints.release("a", "one")
    assert checkpoints.hold("a", "other", 60)
    assert checkpoints.read("a") == 5


def test_a_lease_runs_out(database_url: str) -> None:
    store = open_event_store(database_url)
    checkpoints = open_checkpoints(store)
    checkpoints.get_or_create("a", 0)
    assert checkpoints.hold("a", "one", 0.3)
    assert not checkpoints.hold("a", "other", 0.3)
    time.sleep(0.4)
    assert checkpoints.hold("a", "other", 60)
    assert not checkpoints.hold("a", "one", 60)
    store.close()


def test_another_that_looks_at_the_same_store_sees_the_same(store: EventStore) -> None:
    open_checkpoints(store).get_or_create("a", 3)
    assert open_checkpoints(store).read("a") == 3


def test_they_are_there_when_the_store_is_opened_again(url: str) -> None:
    first = open_event_store(url)
    open_checkpoints(first).get_or_create("a", 3)
    first.close()
    again = open_event_store(url)
    assert open_checkpoints(again).read("a") == (None if url == "memory://" else 3)
    again.close()


def test_many_may_make_the_table_and_move_on_at_once(database_url: str) -> None:
    def work(number: int) -> int:
        store = open_event_store(database_url)
        try:
            checkpoints, moved = open_checkpoints(store), 0
            checkpoints.get_or_create("a", 0)
            while (at := checkpoints.read("a")) is not None and at < 40:
                moved += checkpoints.advance("a", at, at + 1)
            return moved
        finally:
            store.close()

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(work, range(6))) == 40


def test_a_store_of_somebody_elses_has_no_place_for_them() -> None:
    class Theirs:
        def last_position(self) -> int:
            return 0

    with pytest.raises(SettingsError, match="open_event_store"):
        open_checkpoints(Theirs())  # type: ignore[arg-type]


def test_a_database_that_fails_is_said_to(tmp_path: Path) -> None:
    store = open_event_store(f"sqlite:///{tmp_path}/runs.db")
    checkpoints = open_checkpoints(store)
    with closing(sqlite3.connect(tmp_path / "runs.db")) as other:
        other.execute("DROP TABLE runfold_deliveries")
    with pytest.raises(StoreUnavailable, match="runfold_deliveries"):
        checkpoints.get_or_create("a", 0)
    store.close()
