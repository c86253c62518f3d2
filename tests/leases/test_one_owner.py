"""Every run is polled by exactly one of several trackers, however it became known to them."""

from __future__ import annotations

import asyncio
from datetime import datetime
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.poller_bench import Bench, ScriptedSource, body
from tracker.core.events import run_stream
from tracker.core.snapshot import RunSnapshot
from tracker.core.state import RunState
from tracker.errors import NotFound
from tracker.leases.coordinator import ShardCoordinator
from tracker.leases.postgres import PostgresLeases, Renewal
from tracker.leases.shards import SHARDS, Shard
from tracker.recording.observation import Observation

NAMES = (None, "thread_1", "thread_2", "conv_3")


class FixedLeases(PostgresLeases):
    """The leases of a tracker whose shards a test chooses."""

    def __init__(self) -> None:
        self.held: frozenset[Shard] = frozenset()

    def hurry(self) -> None:
        """Waits for nothing."""

    def renew(self) -> Renewal:
        return Renewal(self.held, 60.0)

    def release(self) -> None:
        """Releases nothing."""


class Worker:
    """One of several trackers on one store, driven by hand."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.source = ScriptedSource(bench.clock, body("queued"))
        self.leases = FixedLeases()
        self.coordinator = ShardCoordinator(
            bench.store,
            bench.repository,
            bench.watch_list,
            bench.updates,
            {"assistants": self.source},
            self.leases,
            bench.clock,
            bench.threads,
        )

    def hold(self, numbers: set[int]) -> None:
        """Takes the shards of these numbers."""
        held = frozenset(Shard("assistants", number) for number in numbers)
        self.coordinator._update_shards(held, 1)

    def follow(self) -> None:
        """Follows all events that were recorded since."""
        watch_list = self.bench.watch_list
        while True:
            before = self.coordinator._position
            # With one to look up, it does not wait for an event.
            unconfirmed = [*watch_list.take_unconfirmed(), "assistants:unknown"]
            self.coordinator._apply(self.coordinator._read(unconfirmed))
            if self.coordinator._position == before and not watch_list.take_unconfirmed():
                return

    def watch(self, run_id: str, named: str | None) -> None:
        """Watches a run as a caller does that names a thread, or none."""
        state = self.bench.repository.state(run_stream("assistants", run_id))
        self.bench.watch_list.watch(self.source, named, run_id, state=state)

    def poll(self, run_id: str, seen: str | None, at: datetime) -> None:
        """Applies an answer about a run that shows a thread, or none."""
        watched = self.bench.watch_list.find(run_stream("assistants", run_id))
        if watched is None or not watched.is_ours:
            return
        snapshot = RunSnapshot(
            source="assistants",
            run_id=run_id,
            status="in_progress",
            thread_id=seen,
            observed_at=at,
            asked_at=at,
        ).on_thread(watched.thread_id)
        [result] = self.bench.repository.record([Observation.of(snapshot)])
        assert not isinstance(result, Exception)
        self.bench.updates.on_poll(watched, result.state)

    def polls(self, run_id: str) -> bool:
        """True if this tracker polls a run."""
        watched = self.bench.watch_list.find(run_stream("assistants", run_id))
        return watched is not None and watched.is_ours


@settings(max_examples=30)
@given(st.data())
def test_every_run_is_polled_by_exactly_one(data: st.DataObject) -> None:
    async def play() -> None:
        first = Bench()
        workers = [Worker(first)]
        for _ in range(data.draw(st.integers(1, 3), "others")):
            other = Bench()
            other.store, other.clock = first.store, first.clock
            other.repository = type(first.repository)(first.store)
            workers.append(Worker(_rebuilt(other)))
        runs = {
            f"run_{number}": data.draw(st.sampled_from(NAMES), "the thread that is shown")
            for number in range(4)
        }

        def place() -> None:
            chance = Random(data.draw(st.integers(0, 2**32), "placement"))
            holders = [chance.randrange(len(workers)) for _ in range(SHARDS)]
            for index, worker in enumerate(workers):
                worker.hold({number for number, held_by in enumerate(holders) if held_by == index})

        for worker in workers:
            worker.bench.watch_list.set_ownership(worker.coordinator.owns)
        place()
        named = dict[str, str | None]()
        for run_id, shown in runs.items():
            # A service that names a thread in no answer, and a caller that names it.
            named[run_id] = data.draw(st.sampled_from(NAMES if shown is None else (None, shown)))
            asked = data.draw(st.sets(st.sampled_from(workers), min_size=1))
            for worker in asked:
                worker.watch(run_id, named[run_id])
        for _ in range(3):
            for run_id, shown in runs.items():
                for worker in workers:
                    first.clock.advance(1)
                    worker.poll(run_id, shown, first.clock.now())
            for worker in workers:
                worker.follow()
            for run_id, shown in runs.items():
                assert [worker.polls(run_id) for worker in workers].count(True) == 1
                [state] = first.repository.states([f"assistants:{run_id}"]).values()
                assert state.thread_id == (shown or named[run_id])
            place()
        for bench in (worker.bench for worker in workers):
            bench.threads.close()

    asyncio.run(play())


def _rebuilt(bench: Bench) -> Bench:
    """Returns a bench whose parts use its present store, clock and repository."""
    bench.commits._repository = bench.repository
    bench.watch_list._clock = bench.updates._clock = bench.clock
    return bench


def test_a_run_that_vanished_is_looked_at_again_by_who_takes_over() -> None:
    async def play() -> None:
        worker = Worker(Bench())
        state = RunState("assistants", "run_1", "thread_1", status="queued", vanished=True)
        worker.coordinator._pending.open["assistants:run_1"] = state
        worker.hold(set(range(SHARDS)))
        [error] = worker.bench.watch_list.set_aside_errors.values()
        assert isinstance(error, NotFound)
        worker.bench.threads.close()

    asyncio.run(play())
