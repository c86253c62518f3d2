"""The ledger of handlers: one suite over every database and over memory."""

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tracker import EventStore, open_event_store
from tracker.delivery import ledger as ledgers
from tracker.delivery.backlog import Save, UndeliveredRun
from tracker.delivery.ledger import Ledger, open_ledger
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
def ledger(store: EventStore) -> Ledger:
    return open_ledger(store)


def row(number: int, shard: int, *, is_parked: bool = False) -> UndeliveredRun:
    return UndeliveredRun(
        f"assistants:run_{number}", shard, 2, 10 + number, 3, "ValueError: ☃\0", 1.5, is_parked
    )


def place(ledger: Ledger, name: str = "a") -> int | None:
    standing = ledger.read(name)
    return None if standing is None else standing.position


def test_a_new_name_begins_where_it_is_told_and_a_known_one_where_it_is(ledger: Ledger) -> None:
    assert place(ledger) is None
    assert ledger.create("a", 3, 7) == 7
    assert ledger.create("a", 3, 9) == 7
    assert place(ledger) == 7
    assert ledger.create("b'; --", 1, 1) == 1
    assert {name: it.position for name, it in ledger.read_all().items()} == {"a": 7, "b'; --": 1}


def test_only_who_claimed_a_shard_last_moves_it(ledger: Ledger) -> None:
    ledger.create("a", 3, 0)
    assert ledger.claim("a", [0, 1, 2], "one") == ({0: 0, 1: 0, 2: 0}, [])
    save = Save({0: 5, 1: 6, 2: 7}, [row(1, 0), row(2, 1)], [], [])
    assert ledger.save("a", "one", save) == set()
    positions, rows = ledger.claim("a", [1], "two")
    assert positions == {1: 6}
    assert [it.stream for it in rows] == ["assistants:run_2"]
    later = Save({0: 8, 1: 9}, [row(3, 1), row(4, 0)], ["assistants:run_1", "assistants:run_2"], [])
    assert ledger.save("a", "one", later) == {1}
    positions, rows = ledger.claim("a", [0, 1, 2], "three")
    assert positions == {0: 8, 1: 6, 2: 7}
    assert {it.stream for it in rows} == {"assistants:run_2", "assistants:run_4"}
    assert rows[0][2:5] == (2, 10 + int(rows[0].stream[-1]), 3)
    assert (rows[0].failing_since, rows[0].is_parked) == (1.5, False)
    # A checkpoint never goes back.
    assert ledger.save("a", "three", Save({0: 1}, [], [], [])) == set()
    assert ledger.claim("a", [0], "three")[0] == {0: 8}


def test_a_name_stands_before_its_first_run_that_is_not_done(ledger: Ledger) -> None:
    ledger.create("a", 2, 0)
    ledger.create("b", 1, 3)
    ledger.claim("a", [0, 1], "one")
    ledger.save("a", "one", Save({0: 90, 1: 80}, [row(1, 0), row(2, 1, is_parked=True)], [], []))
    standing = ledger.read("a")
    assert standing is not None
    assert standing.position == 10
    assert [(it.stream, it.is_parked) for it in standing.runs] == [
        ("assistants:run_2", True),
        ("assistants:run_1", False),
    ]
    ledger.save("a", "one", Save({0: 90}, [], ["assistants:run_1"], []))
    assert (place(ledger), place(ledger, "b")) == (80, 3)


def test_parked_runs_are_retried_by_name_and_stream(ledger: Ledger) -> None:
    for name in ("a", "b"):
        ledger.create(name, 1, 0)
        ledger.claim(name, [0], "one")
        rows = [row(number, 0, is_parked=number < 3) for number in range(1, 4)]
        ledger.save(name, "one", Save({0: 50}, rows, [], []))
    assert ledger.retry("a", ["assistants:run_1", "assistants:run_3", "assistants:run_9"]) == 1
    standing = ledger.read("a")
    assert standing is not None
    assert {it.stream for it in standing.runs if it.is_parked} == {"assistants:run_2"}
    [retried] = [it for it in standing.runs if it.stream == "assistants:run_1"]
    assert (retried.attempts, retried.failing_since, retried.version) == (0, None, 2)
    assert ledger.retry("a") == 1
    assert ledger.retry() == 2
    assert ledger.retry() == 0


def test_all_parked_runs_are_found(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "_MOST_LISTED", 2)
    with closing(open_event_store(database_url)) as store:
        ledger = open_ledger(store)
        assert isinstance(ledger, ledgers.TableLedger)
        ledger.create("a", 1, 0)
        ledger.claim("a", [0], "one")
        rows = [row(number, 0, is_parked=number < 4) for number in range(1, 6)]
        ledger.save("a", "one", Save({0: 9}, rows, [], []))
        standing = ledger.read("a")
        assert standing is not None
        assert len(standing.runs) == 2
        parked = ledger.list_parked()
        assert sorted(parked) == [f"assistants:run_{number}" for number in range(1, 4)]
        assert ledger.retry(None, parked) == 3
        assert ledger.list_parked() == []


def test_rows_are_forgotten_with_their_events(database_url: str) -> None:
    store = open_event_store(database_url)
    ledger = open_ledger(store)
    ledger.create("a", 1, 0)
    ledger.claim("a", [0], "one")
    ledger.save("a", "one", Save({0: 50}, [row(1, 0), row(2, 0)], [], []))
    store.forget(["assistants:run_1"])
    standing = ledger.read("a")
    store.close()
    assert standing is not None
    assert [it.stream for it in standing.runs] == ["assistants:run_2"]


def test_a_name_is_one_holders_until_it_gives_it_up(ledger: Ledger) -> None:
    ledger.create("a", 1, 5)
    ledger.create("b", 1, 0)
    assert ledger.hold("a", "one", 60)
    assert not ledger.hold("a", "other", 60)
    assert ledger.hold("a", "one", 60)
    assert ledger.hold("b", "other", 60)
    ledger.release("a", "other")
    assert not ledger.hold("a", "other", 60)
    ledger.release("a", "one")
    assert ledger.hold("a", "other", 60)
    assert place(ledger) == 5


def test_a_lease_runs_out(database_url: str) -> None:
    store = open_event_store(database_url)
    ledger = open_ledger(store)
    ledger.create("a", 1, 0)
    assert ledger.hold("a", "one", 0.3)
    assert not ledger.hold("a", "other", 0.3)
    time.sleep(0.4)
    assert ledger.hold("a", "other", 60)
    assert not ledger.hold("a", "one", 60)
    store.close()


def test_another_that_looks_at_the_same_store_sees_the_same(store: EventStore) -> None:
    open_ledger(store).create("a", 1, 3)
    assert place(open_ledger(store)) == 3


def test_they_are_there_when_the_store_is_opened_again(url: str) -> None:
    first = open_event_store(url)
    open_ledger(first).create("a", 1, 3)
    first.close()
    again = open_event_store(url)
    assert place(open_ledger(again)) == (None if url == "memory://" else 3)
    again.close()


def test_many_may_make_the_tables_and_names_at_once(database_url: str) -> None:
    def work(number: int) -> int:
        store = open_event_store(database_url)
        try:
            return open_ledger(store).create("a", 256, number)
        finally:
            store.close()

    with ThreadPoolExecutor(6) as threads:
        assert len(set(threads.map(work, range(6)))) == 1


def test_a_store_of_somebody_elses_has_no_place_for_them() -> None:
    class Theirs:
        def last_position(self) -> int:
            return 0

    with pytest.raises(SettingsError, match="open_event_store"):
        open_ledger(Theirs())  # type: ignore[arg-type]


def test_a_database_that_fails_is_said_to(tmp_path: Path) -> None:
    store = open_event_store(f"sqlite:///{tmp_path}/runs.db")
    ledger = open_ledger(store)
    with closing(sqlite3.connect(tmp_path / "runs.db")) as other:
        other.execute("DROP TABLE runfold_deliveries")
    with pytest.raises(StoreUnavailable, match="runfold_deliveries"):
        ledger.create("a", 1, 0)
    store.close()
