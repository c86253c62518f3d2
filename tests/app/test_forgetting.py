"""Forgetting a thread: all of its events and rows, and nothing else."""

import asyncio
import logging
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from projections import Views
from tests.support.paths import ROOT
from tracker import EventStore, Tracker, open_event_store
from tracker.core.snapshot import Configuration, RunSnapshot
from tracker.errors import NotEnded, UnknownRun
from tracker.forgetting import Forgotten, forget_thread
from tracker.recording.observation import Observation, RecordResult
from tracker.recording.repository import RunRepository
from tracker.sources import Assistants

pytestmark = pytest.mark.integration

MOMENT = datetime(2026, 1, 1, 12, tzinfo=UTC)

# Stops for good after so many transactions, and is killed there.
FORGETTER = """
import sys, time
from tracker import open_event_store
from tracker.forgetting import forget_thread
store, left = open_event_store(sys.argv[1]), int(sys.argv[2])
forget = store.forget
def forget_some(streams):
    global left
    count, left = forget(streams), left - 1
    if not left:
        print("there", flush=True)
        time.sleep(600)
    return count
store.forget = forget_some
forget_thread(store, "thread_1")
"""


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    urls = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/runs.db"}
    opened = open_event_store(urls.get(request.param) or request.getfixturevalue("postgres_db"))
    yield opened
    opened.close()


def snapshot(
    run: object, thread: int = 1, *, status: str = "completed", source: str = "assistants"
) -> RunSnapshot:
    return RunSnapshot(
        source=source,
        run_id=f"run_{run}",
        thread_id=f"thread_{thread}",
        observed_at=MOMENT,
        status=status,
        created_at=MOMENT,
        metadata={"note": f"the secret of thread {thread}", "run": str(run)},
        configuration=Configuration(instructions="Go."),
    )


def record(store: EventStore, *snapshots: RunSnapshot) -> list[RecordResult]:
    observed = RunRepository(store).record([Observation.of(it) for it in snapshots])
    return [it for it in observed if isinstance(it, RecordResult)]


def test_a_thread_goes_and_the_others_stay(store: EventStore) -> None:
    record(store, *(snapshot(number, number % 3) for number in range(30)))
    before = store.read_all()
    mine = {f"assistants:run_{number}" for number in range(1, 30, 3)}
    gone = [entry for entry in before if entry.stream in mine]
    assert forget_thread(store, "thread_1") == Forgotten(10, len(gone))
    assert store.read_all() == [entry for entry in before if entry.stream not in mine]
    assert store.last_position() == before[-1].position
    assert forget_thread(store, "thread_1") == Forgotten(0, 0)


def test_a_run_whose_thread_was_told_late(store: EventStore) -> None:
    bare = snapshot(1).model_copy(update={"thread_id": None})
    other = snapshot(2, source="other").model_copy(update={"thread_id": None})
    record(store, bare, other)
    record(store, snapshot(1), snapshot(2, source="other"))
    assert forget_thread(store, "thread_1", "assistants") == Forgotten(1, 3)
    assert store.read("assistants:run_1") == []
    assert forget_thread(store, "thread_1").runs == 1


def test_of_one_source_only(store: EventStore) -> None:
    record(store, snapshot(1), snapshot(1, source="other"))
    assert forget_thread(store, "thread_1", "other").runs == 1
    assert store.read("other:run_1") == []
    assert len(store.read("assistants:run_1")) > 0


def test_runs_that_have_not_ended_are_refused(store: EventStore) -> None:
    record(store, *(snapshot(number, status="queued") for number in range(7)), snapshot("ended"))
    before = store.read_all()
    with pytest.raises(NotEnded, match=r"run_0, .*run_4 and 2 more; .*force=True"):
        forget_thread(store, "thread_1")
    assert store.read_all() == before
    assert forget_thread(store, "thread_1", force=True).runs == 8
    assert {entry.stream.partition(":")[0] for entry in store.read_all()} == {"configuration"}


def test_the_tables_are_not_ahead_and_forget_when_they_are_made_again(database_url: str) -> None:
    store = open_event_store(database_url)
    record(store, snapshot(1), snapshot(2, 2))
    with Views(database_url) as views:
        views.upgrade()
        views.catch_up()
        # The newest event is among those that go.
        forget_thread(store, "thread_2")
        assert views.catch_up() == 0
        assert {difference.key[0] for difference in views.verify()} >= {"assistants:run_2"}
        views.rebuild()
        assert [run.run_id for run in views.runs()] == ["run_1"]
        assert views.verify() == []
        record(store, snapshot(2, 2))
        views.catch_up()
        assert {run.run_id for run in views.runs()} == {"run_1", "run_2"}
        assert views.verify() == []
    store.close()


class Counting:
    """A store that notes how much each call takes, with a run that comes in meanwhile."""

    def __init__(self, store: EventStore, late: RunSnapshot) -> None:
        self.store, self.late = store, late
        self.forgotten: list[int] = []

    def read_all(self, after: int = 0, limit: int = 1000) -> list[object]:
        assert limit <= 1000
        return list(self.store.read_all(after, limit))

    def forget(self, streams: Sequence[str]) -> int:
        if not self.forgotten:
            record(self.store, self.late)
        self.forgotten.append(self.store.forget(streams))
        return self.forgotten[-1]


def test_it_goes_in_small_transactions_and_takes_what_comes_meanwhile(store: EventStore) -> None:
    record(store, *(snapshot(number) for number in range(1200)))
    counting = Counting(store, snapshot("late"))
    forgotten = forget_thread(counting, "thread_1")  # type: ignore[arg-type]
    assert forgotten == (1201, sum(counting.forgotten))
    assert max(counting.forgotten) <= 1000
    assert len(counting.forgotten) > 3
    assert {entry.stream.partition(":")[0] for entry in store.read_all()} == {"configuration"}


def test_a_history_in_memory_finds_out(store: EventStore) -> None:
    histories = RunRepository(store)
    histories.record([Observation.of(snapshot(1, status="queued"))])
    assert forget_thread(store, "thread_1", force=True).runs == 1
    assert histories.read("assistants:run_1") == []
    [observed] = histories.record([Observation.of(snapshot(1, status="in_progress"))])
    assert isinstance(observed, RecordResult)
    assert observed.state.status == "in_progress"
    recorded = store.read("assistants:run_1")
    assert recorded[0].event.topic == "run.created"
    assert [entry.version for entry in recorded] == list(range(1, len(recorded) + 1))


def test_a_forgotten_run_is_unknown_and_can_be_seen_anew(store: EventStore) -> None:
    body = {
        "id": "run_1",
        "object": "thread.run",
        "thread_id": "thread_1",
        "status": "completed",
        "created_at": 1_767_268_800,
    }

    async def observe() -> None:
        async with Tracker(store, Assistants(base_url="http://127.0.0.1:9/v1")) as tracker:
            first = tracker.observe(body)
            forget_thread(store, "thread_1")
            with pytest.raises(UnknownRun):
                tracker.history("run_1")
        # As after a start: what is known is in the store alone.
        async with Tracker(store, Assistants(base_url="http://127.0.0.1:9/v1")) as tracker:
            again = tracker.observe(body)
            assert [event.topic for event in again] == [event.topic for event in first]
            assert len(tracker.history("run_1")) == len(again)

    asyncio.run(observe())


def test_a_kill_between_two_transactions_leaves_the_rest_for_the_next(database_url: str) -> None:
    store = open_event_store(database_url)
    record(store, *(snapshot(number, number % 2) for number in range(4000)))
    left = store.read_all(limit=100_000)
    others = [entry for entry in left if not is_mine(entry.stream)]
    last = store.last_position()
    for transactions in (1, 2):
        process = subprocess.Popen(
            [sys.executable, "-c", FORGETTER, database_url, str(transactions)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"there\n"
            process.kill()
        assert process.returncode == -signal.SIGKILL
        before, left = left, store.read_all(limit=100_000)
        assert 500 < len(before) - len(left) <= transactions * 1000
    rest = len(left) - len(others)
    assert rest > 0, "it had nothing left to be killed at"
    assert forget_thread(store, "thread_1").events == rest
    assert store.read_all(limit=100_000) == others
    assert store.last_position() == last
    store.close()


def is_mine(stream: str) -> bool:
    name, _, run = stream.partition(":run_")
    return name == "assistants" and int(run) % 2 == 1


def bytes_of(folder: Path) -> bytes:
    """All that lies in the files of the database, its log included."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("runs.db*")))


def test_the_bytes_are_gone_from_the_files(tmp_path: Path) -> None:
    store = open_event_store(f"sqlite:///{tmp_path}/runs.db")
    histories = RunRepository(store)
    for status in ("queued", "in_progress", "completed"):
        for start in range(0, 1000, 100):
            numbers = range(start, start + 100)
            looks = [snapshot(f"{it % 5}_{it}", it % 5, status=status) for it in numbers]
            histories.record([Observation.of(it) for it in looks])
    before = bytes_of(tmp_path)
    assert before.count(b"the secret of thread 1") >= 200
    assert b"run_1_1" in before
    assert forget_thread(store, "thread_1").runs == 200
    after = bytes_of(tmp_path)
    assert b"the secret of thread 1" not in after
    assert b"run_1_" not in after
    assert after.count(b"the secret of thread 2") >= 200
    store.close()


def test_somebody_who_reads_puts_it_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = open_event_store(f"sqlite:///{tmp_path}/runs.db")
    record(store, snapshot(1))
    reader = sqlite3.connect(tmp_path / "runs.db", isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM runfold_events").fetchone() != (0,)
    with caplog.at_level(logging.WARNING, "runfold"):
        assert forget_thread(store, "thread_1").runs == 1
    assert "the database is being read" in caplog.text
    assert store.read("assistants:run_1") == []
    reader.execute("ROLLBACK")
    reader.close()
    forget_thread(store, "thread_1")
    assert b"the secret of thread 1" not in bytes_of(tmp_path)
    store.close()
