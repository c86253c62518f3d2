"""The coordinator beside states that are recorded here and become known late."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from tests.support.poller_bench import Bench, ScriptedSource, body, ended
from tests.support.waiting import until
from tracker.core.other_decisions import decide_disappearance
from tracker.core.state import RunState
from tracker.errors import NotFound
from tracker.leases.coordinator import ShardCoordinator
from tracker.leases.postgres import PostgresLeases, Renewal
from tracker.recording.observation import Observation
from tracker.recording.repository import RunRepository
from tracker.sources.assistants.snapshots import run_snapshot

STREAM = "assistants:run_1"


class NoLeases:
    """The leases of a tracker that never gets a shard."""

    def renew(self) -> Renewal:
        return Renewal(frozenset(), 60.0)

    def hurry(self) -> None:
        """Waits for nothing."""

    def release(self) -> None:
        """Releases nothing."""


class Fleet:
    """A tracker that polls nothing, with its source, and the repository of the one that does."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.source = ScriptedSource(self.bench.clock, body("queued"))
        self.elsewhere = RunRepository(self.bench.store)
        self.coordinator = ShardCoordinator(
            self.bench.store,
            self.bench.repository,
            self.bench.watch_list,
            self.bench.updates,
            {"assistants": self.source},
            cast("PostgresLeases", NoLeases()),
            self.bench.clock,
            self.bench.threads,
        )

    def record(self, status: str, repository: RunRepository | None = None) -> RunState:
        """Records a status, by the other tracker if none is named; returns the run's state."""
        self.bench.clock.advance(1)
        snapshot = run_snapshot(body(status), "assistants", observed_at=self.bench.clock.now())
        [result] = (repository or self.elsewhere).record([Observation.of(snapshot)])
        assert not isinstance(result, Exception)
        return result.state

    async def wait_until_followed(self) -> None:
        """Returns once all events are followed and no state waits to be confirmed."""
        last = self.bench.store.read_all()[-1].position
        await until(lambda: self.coordinator._position == last)


def run_fleet(scenario: Callable[[Fleet], Awaitable[None]]) -> None:
    """Runs a scenario beside a coordinator that follows the store."""

    async def play() -> None:
        fleet = Fleet()
        await fleet.coordinator.start()
        try:
            await scenario(fleet)
        finally:
            await fleet.coordinator.close()

    asyncio.run(play())


def test_a_run_that_ended_before_it_was_watched_is_known_to_have_ended() -> None:
    async def scenario(fleet: Fleet) -> None:
        queued = fleet.record("queued", fleet.bench.repository)
        fleet.record("completed")
        await fleet.wait_until_followed()
        # The state of an answer to our own call, which becomes known after the end was followed.
        watch_list = fleet.bench.watch_list
        watched = watch_list.watch(fleet.source, "thread_1", "run_1", state=queued)
        state = await asyncio.wait_for(watched.wait_for(ended), 60)
        assert state.status == "completed"
        assert watch_list.runs == []

    run_fleet(scenario)


def test_a_state_that_becomes_known_late_does_not_stay() -> None:
    async def scenario(fleet: Fleet) -> None:
        queued = fleet.record("queued", fleet.bench.repository)
        watched = fleet.bench.watch_list.watch(fleet.source, "thread_1", "run_1", state=queued)
        fleet.record("requires_action")
        await until(lambda: watched.state.needs_action, 60)
        fleet.bench.updates.on_state(STREAM, queued)
        state = await asyncio.wait_for(watched.wait_for(lambda it: it.needs_action), 60)
        assert state.needs_action

    run_fleet(scenario)


def test_a_run_that_vanished_before_it_was_watched_is_said_to_who_waits() -> None:
    async def scenario(fleet: Fleet) -> None:
        queued = fleet.record("queued", fleet.bench.repository)
        at = fleet.bench.clock.now()
        gone = Observation(STREAM, lambda state: decide_disappearance(state, at))
        fleet.elsewhere.record([gone])
        await fleet.wait_until_followed()
        watched = fleet.bench.watch_list.watch(fleet.source, "thread_1", "run_1", state=queued)
        with pytest.raises(NotFound):
            await asyncio.wait_for(watched.wait_for(ended), 60)

    run_fleet(scenario)
