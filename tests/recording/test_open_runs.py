"""Pending runs from the row of open runs: they equal what a reading of all events finds."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.observations import at, ended, seen
from tests.support.pending_comparison import compare_pending
from tests.support.raw_events import plant_event
from tests.support.undelivered_events import unpolled_tracker
from tracker import EventStore, open_event_store
from tracker.core.other_decisions import decide_disappearance, decide_steps
from tracker.core.snapshot import StepSnapshot
from tracker.errors import StoreUnavailable
from tracker.event_store import open_runs
from tracker.event_store.open_runs import OPEN_RUNS, READ_CHANGES, OpenRunsTable
from tracker.event_store.recorder_store import RecorderEventStore
from tracker.recording.observation import Observation
from tracker.recording.pending_reader import KEPT_FOR
from tracker.recording.repository import RunRepository

STEP = StepSnapshot(step_id="step_1", type="tool_calls", status="completed")
RUNS = [f"run_{number}" for number in range(6)]


class Walk:
    """Random events of a few runs, over days, with rows of open runs written at random moments."""

    def __init__(self, url: str, chance: Random) -> None:
        self.url, self.chance = url, chance
        store = open_event_store(url)
        assert isinstance(store, RecorderEventStore)
        self.store = store
        self.table = OpenRunsTable(store)
        self.second = 1.0

    def step(self) -> None:
        """Does one thing."""
        chance, run_id = self.chance, self.chance.choice(RUNS)
        self.second += chance.choice((1, 60, 3600, 50_000))
        stream, now, second = f"assistants:{run_id}", at(self.second), self.second
        kinds = ("look", "look", "end", "end", "steps", "gone", "forget", "write", "raw")
        match chance.choice(kinds):
            case "look":
                self._record(Observation.of(seen("in_progress", second, started=1, run_id=run_id)))
            case "end":
                last = second - chance.choice((0, 10, 90_000))
                look = ended(chance.choice(("completed", "failed")), second, last, run_id=run_id)
                self._record(Observation.of(look))
            case "steps":
                self._record(Observation(stream, lambda state: decide_steps(state, [STEP], now)))
            case "gone":
                self._record(Observation(stream, lambda state: decide_disappearance(state, now)))
            case "forget":
                self.store.forget([stream])
                row = self._row()
                assert row is None or f'"{stream}"' not in row
            case "write":
                self.table.advance(now - KEPT_FOR, always=chance.random() < 0.7)
            case "raw" if chance.random() < 0.2:
                version = len(self.store.read(stream)) + 1
                plant_event(self.url, stream, version, b"{}", "run.painted/1")

    def check(self) -> None:
        """Compares the two ways to find what is pending."""
        now = at(self.second)
        limit = now - self.chance.choice((timedelta(hours=1), KEPT_FOR))
        compare_pending(self.store, limit, now)

    def _record(self, observation: Observation) -> None:
        RunRepository(self.store).record([observation])

    def _row(self) -> str | None:
        with self.store.transaction(commit=False) as cursor:
            cursor.execute(f"SELECT runs FROM {OPEN_RUNS}")
            row = cursor.fetchone()
            return None if row is None else str(row["runs"])


@settings(max_examples=10)
@given(st.integers(0, 2**32))
def test_what_is_pending_is_what_all_events_say(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        walk = Walk(f"sqlite:///{folder}/runs.db", Random(seed))
        with closing(walk.store):
            for _ in range(3):
                for _ in range(10):
                    walk.step()
                walk.check()


@pytest.mark.integration
def test_and_on_every_database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_runs, "_POSITIONS_PER_QUERY", 7)
    monkeypatch.setattr(open_runs, "_EVENTS_PER_WRITE", 5)
    walk = Walk(database_url, Random(7))
    with closing(walk.store):
        for _ in range(40):
            walk.step()
            if walk.chance.random() < 0.1:
                walk.check()
        walk.check()


def table_of(url: str) -> tuple[RecorderEventStore, OpenRunsTable]:
    store = open_event_store(url)
    assert isinstance(store, RecorderEventStore)
    return store, OpenRunsTable(store)


def record_open(store: EventStore, *names: str) -> None:
    looks = [Observation.of(seen("queued", 1, run_id=name)) for name in names]
    RunRepository(store).record(looks)


@pytest.mark.integration
@pytest.mark.parametrize("runs", ["{", "[]", '{"open": 1, "ended": {}}', '{"open": []}'])
def test_a_row_that_cannot_be_read_is_made_again(database_url: str, runs: str) -> None:
    store, table = table_of(database_url)
    with closing(store):
        record_open(store, "run_1")
        table.advance(at(0), always=True)
        with store.transaction(commit=True) as cursor:
            cursor.execute(f"UPDATE {OPEN_RUNS} SET runs = '{runs}'")
        assert list(table.advance(at(0), always=True).open) == ["assistants:run_1"]
        assert table._read() is not None
        assert list(table.advance(at(0)).open) == ["assistants:run_1"]


@pytest.mark.integration
def test_of_two_that_write_it_at_once_one_does(database_url: str) -> None:
    store, table = table_of(database_url)
    with closing(store):
        record_open(store, "run_1")
        known = table.advance(at(0), always=True)
        record_open(store, "run_2")
        table.advance(at(0), always=True)
        # Made from a row that somebody else has replaced since.
        assert not table._write(known)
        assert len(table.advance(at(0))) == 2


@pytest.mark.integration
def test_a_start_reads_by_keys(database_url: str) -> None:
    """The plans name no scan of all events, so that ten million cost what a million do."""
    store, _ = table_of(database_url)
    parameters = {READ_CHANGES: (5, 9)}
    with closing(store):
        record_open(store, "run_1")
        for statement, values in parameters.items():
            with store.transaction(commit=True) as cursor:
                if store.placeholder == "?":
                    cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values)
                    plan = " ".join(row["detail"] for row in cursor.fetchall())
                    assert "USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" in plan
                else:
                    cursor.execute("SET LOCAL enable_seqscan = off")
                    cursor.execute("EXPLAIN " + statement.replace("?", "%s"), values)
                    plan = " ".join(row["QUERY PLAN"] for row in cursor.fetchall())
                    assert "runfold_events_pkey" in plan
                    assert "Seq Scan" not in plan


@pytest.mark.integration
def test_who_is_left_writes_it(database_url: str) -> None:
    async def scenario() -> None:
        tracker = unpolled_tracker(database_url)
        async with type(tracker)(database_url, *tracker._sources.values()):
            pass

    store, table = table_of(database_url)
    with closing(store):
        record_open(store, "run_1", "run_2")
        asyncio.run(scenario())
        known = table._read()
        assert known is not None
        assert (known.position, list(known.open)) == (
            store.last_position(),
            ["assistants:run_1", "assistants:run_2"],
        )


def test_a_store_that_is_closed_is_said(tmp_path: Path) -> None:
    store, table = table_of(f"sqlite:///{tmp_path}/runs.db")
    store.close()
    with pytest.raises(StoreUnavailable):
        table.advance(at(0))
