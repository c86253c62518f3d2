"""A database that is away for a while: what waits for it is recorded once, when it is back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from tests.support.observations import FUNCTIONS, at, seen
from tests.support.waiting import until
from tracker.core.events import Event, configuration_stream
from tracker.core.other_decisions import decide_disappearance
from tracker.core.state import RunState
from tracker.errors import StoreUnavailable
from tracker.event_store import Append
from tracker.event_store.memory import MemoryRecorder
from tracker.event_store.recorder_store import RecorderEventStore
from tracker.recording.group_commit import GroupCommit
from tracker.recording.observation import Observation
from tracker.recording.repository import RunRepository
from tracker.runtime.worker_threads import WorkerThreads


class AwayStore(RecorderEventStore):
    """A store in memory that can be away; `loses` appends that it has recorded, once each."""

    def __init__(self) -> None:
        super().__init__(MemoryRecorder())
        self.is_away = False
        self.loses = 0
        self.tries = 0

    def append(self, batch: Sequence[Append]) -> None:
        self._check()
        super().append(batch)
        if self.loses:
            self.loses -= 1
            raise StoreUnavailable("the connection was lost at the commit")

    def read(self, stream: str, after: int = 0) -> list[object]:  # type: ignore[override]
        self._check()
        return list(super().read(stream, after))

    def read_many(self, streams: Sequence[str]) -> dict[str, list[object]]:  # type: ignore[override]
        self._check()
        return {key: list(found) for key, found in super().read_many(streams).items()}

    def _check(self) -> None:
        if self.is_away:
            self.tries += 1
            raise StoreUnavailable("it is away")


class Desk:
    """A group commit over a store that can be away, and the events that it was told of."""

    def __init__(self) -> None:
        self.store = AwayStore()
        self.appended: list[Event] = []
        self.observed: list[str] = []
        self.repository = RunRepository(
            self.store,
            on_appended=lambda state, events: self.appended.extend(events),
            on_observed=lambda observations: self.observed.extend(it.stream for it in observations),
        )
        self.threads = WorkerThreads()
        self.commits = GroupCommit(self.repository, self.threads)


def run(scenario: Callable[[Desk], Awaitable[None]]) -> None:
    """Runs a scenario at a desk."""

    async def play() -> None:
        desk = Desk()
        try:
            await asyncio.wait_for(scenario(desk), 300)
            await desk.commits.drain()
        finally:
            desk.threads.close()

    asyncio.run(play())


def test_what_waits_is_recorded_when_the_database_is_back() -> None:
    async def scenario(desk: Desk) -> None:
        desk.store.is_away = True
        runs = [f"run_{number}" for number in range(600)]
        waiting = [
            asyncio.create_task(
                desk.commits.record(Observation.of(seen("queued", 1, run_id=it)), patient=True)
            )
            for it in runs
        ]
        await until(lambda: desk.store.tries > 2)
        assert not any(task.done() for task in waiting)
        desk.store.is_away = False
        results = await asyncio.gather(*waiting)
        assert [it.stream for it in results] == [f"assistants:{run_id}" for run_id in runs]
        assert all(len(it.events) == 1 for it in results)
        assert len(desk.observed) == len(desk.appended) == 600
        # The configuration that all of them share was told to a store that was away.
        assert len(desk.store.read(configuration_stream(FUNCTIONS.digest))) == 1

    run(scenario)


def test_a_commit_whose_answer_was_lost_is_known_to_be_done() -> None:
    async def scenario(desk: Desk) -> None:
        desk.store.loses = 3
        runs = [f"run_{number}" for number in range(600)]
        results = await asyncio.gather(
            *(
                desk.commits.record(Observation.of(seen("queued", 1, run_id=it)), patient=True)
                for it in runs
            )
        )
        assert all(len(it.events) == 1 for it in results)
        assert len(desk.appended) == 600
        assert len(desk.store.read_all(0, 1000)) == 601
        assert desk.store.loses == 0

    run(scenario)


def test_who_does_not_wait_is_told_at_once_and_recorded_later() -> None:
    async def scenario(desk: Desk) -> None:
        desk.store.is_away = True
        for number in range(3):
            observation = Observation.of(seen("queued", 1, run_id=f"run_{number}"))
            with pytest.raises(StoreUnavailable):
                await desk.commits.record(observation)
        desk.store.is_away = False
        await until(lambda: len(desk.appended) == 3)

    run(scenario)


def test_leaving_does_not_wait_for_it() -> None:
    async def scenario(desk: Desk) -> None:
        desk.store.is_away = True
        waiting = asyncio.create_task(
            desk.commits.record(Observation.of(seen("queued", 1)), patient=True)
        )
        reading = asyncio.create_task(desk.commits.state("assistants:run_1", patient=True))
        await until(lambda: desk.store.tries > 1)
        await desk.commits.drain()
        for task in (waiting, reading):
            with pytest.raises(StoreUnavailable):
                await task

    run(scenario)


def test_a_vanishing_is_not_lost() -> None:
    async def scenario(desk: Desk) -> None:
        await desk.commits.record(Observation.of(seen("queued", 1)))
        desk.store.is_away = True
        gone = Observation("assistants:run_1", lambda state: decide_disappearance(state, at(9)))
        waiting = asyncio.create_task(desk.commits.record(gone, patient=True))
        await until(lambda: desk.store.tries > 1)
        desk.store.is_away = False
        assert (await waiting).state.vanished

    run(scenario)


def test_a_forgotten_run_is_recorded_by_no_look_at_a_known_one() -> None:
    assert Observation.of_known(seen("queued", 1)).decide(RunState()) == []
