"""Looks that cannot be decided or recorded: each fails alone in its batch."""

import asyncio
import logging
import re
from collections.abc import Sequence

import pytest

from tests.support.observations import seen
from tests.support.raw_events import GARBAGE, nested, plant_event
from tracker.core.events import Event, RunCreated
from tracker.core.state import RunState
from tracker.errors import PayloadError, RunfoldError, UnreadableEvent
from tracker.event_store import open_event_store
from tracker.recording.group_commit import GroupCommit
from tracker.recording.observation import Observation, RecordResult
from tracker.recording.repository import RunRepository
from tracker.runtime.worker_threads import WorkerThreads

pytestmark = pytest.mark.integration


def look(run_id: str) -> Observation:
    return Observation.of(seen("in_progress", 2, started=1, run_id=run_id))


def undecidable(run_id: str) -> Observation:
    def decide(state: RunState) -> list[Event]:
        raise ZeroDivisionError("no decision")

    return Observation(f"assistants:{run_id}", decide)


def kinds(results: Sequence[RecordResult | RunfoldError]) -> list[type]:
    return [type(it) for it in results]


@pytest.mark.parametrize("state", [GARBAGE, nested(250)])
def test_an_unreadable_history_fails_its_look_alone(database_url: str, state: bytes) -> None:
    store = open_event_store(database_url)
    plant_event(database_url, "assistants:bad", 1, state, "run.created/1")
    repository = RunRepository(store)
    results = repository.record([look("run_1"), look("bad"), look("run_2"), look("bad")])
    assert kinds(results) == [RecordResult, UnreadableEvent, RecordResult, UnreadableEvent]
    words = (
        r"assistants:bad: nothing is recorded of it, since its version 1 \(position 1\) cannot be "
        r"read: .*run\.created/1.*forget --run assistants:bad"
    )
    assert re.match(words, str(results[1]))
    with pytest.raises(UnreadableEvent, match=words):
        repository.state("assistants:bad")
    assert repository.readable_states(["assistants:bad"])["assistants:bad"].status is None
    assert len(store.read("assistants:bad")) == 1
    assert len(store.read("assistants:run_2")) > 0
    store.close()


def test_a_history_that_cannot_be_applied_is_as_unreadable(database_url: str) -> None:
    store = open_event_store(database_url)
    RunRepository(store).record([look("run_1")])
    plant_event(database_url, "assistants:run_1", 3, b"{}", "no such/1")
    repository = RunRepository(store)
    [result] = repository.record([look("run_1")])
    assert isinstance(result, UnreadableEvent)
    assert (
        repository.readable_states(["assistants:run_1"])["assistants:run_1"].status == "in_progress"
    )
    store.close()


def test_a_look_that_cannot_be_decided_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    store = open_event_store("memory://")
    repository = RunRepository(store)
    results = repository.record(
        [look("run_1"), undecidable("run_1"), undecidable("run_2"), look("run_3")]
    )
    assert kinds(results) == [RecordResult, PayloadError, PayloadError, RecordResult]
    assert "assistants:run_2: cannot be recorded: ZeroDivisionError" in str(results[2])
    assert [it.getMessage() for it in caplog.records] == [
        f"assistants:{run}: cannot decide on a look" for run in ("run_1", "run_2")
    ]
    assert len(store.read("assistants:run_1")) == len(store.read("assistants:run_3")) > 0
    assert store.read("assistants:run_2") == []


@pytest.mark.parametrize("run_id", ["a\x00b", "\ud800", "r" * 100_000])
def test_a_name_that_the_database_refuses_fails_alone(database_url: str, run_id: str) -> None:
    store = open_event_store(database_url)
    stream = f"assistants:{run_id}"

    def decide(state: RunState) -> list[Event]:
        created = RunCreated(
            observed_at=seen("queued", 1).observed_at,
            source="assistants",
            run_id="r",
            status="queued",
        )
        return [] if state.status else [created]

    for _ in range(2):
        results = RunRepository(store).record(
            [look("run_1"), Observation(stream, decide), look("run_2")]
        )
        assert kinds(results)[::2] == [RecordResult, RecordResult]
        assert isinstance(results[1], RecordResult | RunfoldError)
    assert len(store.read("assistants:run_2")) > 0
    store.close()


def test_group_commit_gives_each_look_its_own_result(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    store = open_event_store(database_url)
    plant_event(database_url, "assistants:bad", 1)

    async def scenario() -> None:
        commits = GroupCommit(RunRepository(store), WorkerThreads())
        results = await asyncio.gather(
            *map(commits.record, (look("run_1"), look("bad"), undecidable("run_2"), look("run_3"))),
            return_exceptions=True,
        )
        assert [type(it) for it in results] == [
            RecordResult,
            UnreadableEvent,
            PayloadError,
            RecordResult,
        ]

    asyncio.run(scenario())
    store.close()
