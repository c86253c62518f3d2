"""Known traps of event stores, each of which fails without its remedy.

Poisoned metadata and topics are in `tests/golden`, two runners in the tests of the views.
"""

import asyncio
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.postgres import PostgresServer
from tests.support.run_builder import STATUS_CHANGED as EVENT
from tracker import EventStore, Tracker, open_event_store
from tracker.core.events import Event
from tracker.core.snapshot import Configuration, RunSnapshot
from tracker.errors import PayloadError, StoreUnavailable
from tracker.event_store import Append, RecordedEvent
from tracker.recording.observation import Observation, RecordResult
from tracker.recording.repository import RunRepository
from tracker.sources import Assistants

pytestmark = pytest.mark.integration

MOMENT = datetime(2026, 1, 1, 12, tzinfo=UTC)

WRITER = """
import sys
from tests.support.run_builder import STATUS_CHANGED as EVENT
from tracker import open_event_store
from tracker.event_store import Append
store = open_event_store(sys.argv[1])
for number in range(int(sys.argv[3])):
    store.append([Append(f"{sys.argv[2]}:{number}", 0, [EVENT] * 3)])
store.close()
"""
OPENER = "import sys; from tracker import open_event_store; open_event_store(sys.argv[1]).close()"


@pytest.fixture
def store(database_url: str) -> Iterator[EventStore]:
    opened = open_event_store(database_url)
    yield opened
    opened.close()


def start(script: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", script, *arguments], cwd=ROOT)


def snapshot(run: int = 1, *, status: str = "queued", instructions: str = "Go.") -> RunSnapshot:
    return RunSnapshot(
        source="assistants",
        run_id=f"run_{run}",
        observed_at=MOMENT,
        status=status,
        created_at=MOMENT,
        configuration=Configuration(instructions=instructions),
    )


@pytest.mark.parametrize("number", [700, 20_000])
def test_a_large_append_over_a_unix_socket_returns(postgres: PostgresServer, number: int) -> None:
    name = f"large_{number}"
    postgres.execute(f"CREATE DATABASE {name}")
    store = open_event_store(postgres.socket_url(name))
    appending = threading.Thread(
        target=store.append, args=([Append("a:1", 0, [EVENT] * number)],), daemon=True
    )
    appending.start()
    appending.join(120)
    assert not appending.is_alive(), "the append hangs"
    assert store.last_position() == number
    store.close()


def test_a_reader_by_position_misses_nothing_of_three_writers(
    database_url: str, store: EventStore
) -> None:
    each = 120
    writers = [start(WRITER, database_url, name, str(each)) for name in ("a", "b", "c")]
    seen: list[RecordedEvent] = []
    while True:
        finished = all(writer.poll() is not None for writer in writers)
        page = store.read_all(seen[-1].position if seen else 0, 50)
        seen += page
        if finished and not page:
            break
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len(seen) == 3 * each * 3
    assert [entry.position for entry in seen] == sorted({entry.position for entry in seen})


def test_an_append_waits_for_another_writer_of_the_file(tmp_path: Path) -> None:
    store = open_event_store(f"sqlite:///{tmp_path}/runs.db")
    store.append([Append("a:1", 0, [EVENT])])
    other = sqlite3.connect(tmp_path / "runs.db", check_same_thread=False, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.5, other.execute, ["COMMIT"])
    release.start()
    began = time.monotonic()
    store.append([Append("a:1", 1, [EVENT])])
    assert time.monotonic() - began > 0.3
    release.join()
    other.close()
    store.close()


def test_a_position_is_never_given_out_twice(tmp_path: Path) -> None:
    store = open_event_store(f"sqlite:///{tmp_path}/runs.db")
    store.append([Append("a:1", 0, [EVENT] * 3)])
    other = sqlite3.connect(tmp_path / "runs.db")
    other.execute("DELETE FROM runfold_events WHERE position = 3")
    other.commit()
    other.close()
    store.append([Append("a:2", 0, [EVENT])])
    assert store.last_position() == 4
    store.close()


def test_the_table_is_made_once_by_many_processes(database_url: str) -> None:
    openers = [start(OPENER, database_url) for _ in range(6)]
    assert [opener.wait() for opener in openers] == [0] * 6


def test_a_commit_reaches_the_disk_before_it_is_acknowledged(tmp_path: Path) -> None:
    from tracker.event_store.sqlite_pool import DurableConnectionPool

    pool = DurableConnectionPool(db_name=str(tmp_path / "runs.db"))
    connection = pool.get_connection()
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous")
    assert cursor.fetchone()[0] == 2
    cursor.execute("PRAGMA journal_mode")
    assert cursor.fetchone()[0] == "wal"
    pool.put_connection(connection)
    pool.close()


class Ambiguous:
    """A store whose next append is stored, and says that it failed."""

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self.failing = False

    def append(self, batch: Sequence[Append]) -> None:
        self.store.append(batch)
        if self.failing:
            self.failing = False
            raise StoreUnavailable("the connection broke")

    def read(self, stream: str, after: int = 0) -> list[RecordedEvent]:
        return self.store.read(stream, after)

    def read_many(self, streams: Sequence[str]) -> dict[str, list[RecordedEvent]]:
        return self.store.read_many(streams)

    def read_all(self, after: int = 0, limit: int = 1000) -> list[RecordedEvent]:
        return self.store.read_all(after, limit)

    def last_position(self) -> int:
        return self.store.last_position()

    def wait(self, after: int, timeout: float) -> bool:
        return self.store.wait(after, timeout)

    def forget(self, streams: Sequence[str]) -> int:
        return self.store.forget(streams)

    def close(self) -> None:
        self.store.close()


def test_looking_again_settles_a_commit_that_may_have_been_lost(store: EventStore) -> None:
    ambiguous = Ambiguous(store)
    histories = RunRepository(ambiguous)
    ambiguous.failing = True
    with pytest.raises(StoreUnavailable):
        histories.record([Observation.of(snapshot())])
    [again] = histories.record([Observation.of(snapshot())])
    assert isinstance(again, RecordResult)
    assert again.events == []
    [more] = histories.record([Observation.of(snapshot(status="in_progress"))])
    assert isinstance(more, RecordResult)
    assert [entry.version for entry in store.read("assistants:run_1")] == [1, 2]


def test_two_writers_of_one_run_record_each_thing_once(database_url: str) -> None:
    stores = [open_event_store(database_url) for _ in range(2)]
    writers = [RunRepository(store) for store in stores]
    for run in range(20):
        for status in ("queued", "in_progress", "completed"):
            for histories in writers:
                [observed] = histories.record([Observation.of(snapshot(run, status=status))])
                assert isinstance(observed, RecordResult)
    threads = [
        threading.Thread(
            target=histories.record,
            args=([Observation.of(snapshot(run, status="completed")) for run in range(100, 200)],),
        )
        for histories in writers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorded = stores[0].read_all(limit=10_000)
    topics = [entry.event.topic for entry in recorded]
    assert topics.count("run.created") == topics.count("run.completed") == 120
    assert topics.count("configuration.recorded") == 1
    for store in stores:
        store.close()


def test_what_no_database_takes_leaves_the_rest_of_a_batch(store: EventStore) -> None:
    histories = RunRepository(store)
    half = snapshot(2).model_copy(update={"metadata": {"half": "\ud800"}})
    nul = snapshot(3).model_copy(update={"metadata": {"nul": "\x00"}})
    good, bad, odd = histories.record(
        [Observation.of(snapshot(1)), Observation.of(half), Observation.of(nul)]
    )
    assert isinstance(good, RecordResult)
    assert isinstance(bad, PayloadError)
    assert isinstance(odd, RecordResult)
    created: list[Event] = [store.read(f"assistants:run_{run}")[0].event for run in (1, 3)]
    assert [event.topic for event in created] == ["run.created"] * 2
    assert store.read("assistants:run_2") == []


class Slow(Ambiguous):
    """A store that takes its time to append."""

    def append(self, batch: Sequence[Append]) -> None:
        time.sleep(1.0)
        self.store.append(batch)


def test_nobody_closes_under_a_thread_that_writes(store: EventStore) -> None:
    async def cancelled() -> None:
        tracker = Tracker(Slow(store), Assistants(base_url="http://127.0.0.1:9/v1"))
        async with tracker:
            body = {"id": "run_1", "object": "thread.run", "status": "queued", "created_at": 1}
            observing = asyncio.create_task(asyncio.to_thread(tracker.observe, body))
            await asyncio.sleep(0.2)
            # As asyncio.run does to every task when it is interrupted; the thread goes on.
            observing.cancel()
        assert [entry.event.topic for entry in store.read("assistants:run_1")] == ["run.created"]

    asyncio.run(cancelled())


def test_nothing_is_recorded_after_the_end() -> None:
    histories = RunRepository(open_event_store("memory://"))
    histories.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        histories.record([Observation.of(snapshot())])
