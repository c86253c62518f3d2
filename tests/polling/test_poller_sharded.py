"""The poller among others: it polls its own threads, and runs that nobody has recorded."""

import asyncio
from datetime import timedelta

import pytest

from tests.support.poller_bench import KNOWN, Bench, ScriptedSource, body, others
from tracker.recording.observation import Observation
from tracker.recording.pending_runs import PendingRuns
from tracker.recording.repository import RunRepository
from tracker.sources.assistants.snapshots import run_snapshot
from tracker.testing import FakeClock


def owned_here(source: str, thread_id: str) -> bool:
    return True


def test_what_others_own_is_not_asked_about_but_known() -> None:
    async def scenario() -> None:
        bench = Bench()
        source = ScriptedSource(bench.clock, body("in_progress"))
        bench.watch_list.set_ownership(others)
        watched = bench.watch_list.watch(source, "thread_1", "run_1", state=KNOWN)
        waiting = asyncio.create_task(watched.wait_for(lambda state: state.needs_action))
        await bench.advance(60)
        assert source.asked == []
        assert bench.watch_list.find("assistants:run_1") is watched
        assert bench.watch_list.watch(source, "thread_1", "run_1") is watched
        bench.updates.on_state("assistants:run_1", KNOWN._replace(status="requires_action"))
        assert (await waiting).needs_action
        bench.updates.on_state("assistants:run_1", KNOWN._replace(status="completed"))
        assert bench.watch_list.runs == []

    asyncio.run(scenario())


def test_what_nobody_knows_is_asked_about_until_it_is_recorded() -> None:
    async def scenario() -> None:
        bench = Bench()
        source = ScriptedSource(bench.clock, body("in_progress"))
        bench.watch_list.set_ownership(others)
        bench.watch_list.watch(source, "thread_1", "run_1")
        await bench.advance(60)
        assert len(source.asked) == 1
        assert bench.repository.state("assistants:run_1").status == "in_progress"
        assert [watched.run_id for watched in bench.watch_list.runs] == ["run_1"]

    asyncio.run(scenario())


@pytest.mark.parametrize("moment", [0.0, 0.01, 0.05, 0.3, 5.0])
def test_what_comes_and_goes_is_asked_about_while_it_is_here(moment: float) -> None:
    async def scenario() -> None:
        bench = Bench()
        source = ScriptedSource(bench.clock, body("in_progress"))
        bench.watch_list.watch(source, "thread_1", "run_1", state=KNOWN)
        await bench.advance(60 + moment, 0.01)
        known = bench.watch_list.find("assistants:run_1")
        bench.watch_list.set_ownership(others)
        await bench.advance(1)
        asked = len(source.asked)
        await bench.advance(60)
        assert len(source.asked) == asked
        bench.watch_list.set_ownership(owned_here)
        bench.watch_list.set_ownership(owned_here)
        await bench.advance(60)
        assert asked + 2 < len(source.asked) < 3 * asked
        assert bench.watch_list.find("assistants:run_1") is known
        source.replies = [body("completed")]
        await bench.advance(60)
        assert bench.watch_list.runs == []

    asyncio.run(scenario())


def test_what_others_record_makes_memory_void() -> None:
    clock = FakeClock()
    bench = Bench()
    other = RunRepository(bench.store)

    def record_status(repository: RunRepository, status: str) -> None:
        clock.advance(1)
        snapshot = run_snapshot(body(status), "assistants", observed_at=clock.now())
        repository.record([Observation.of(snapshot)])

    record_status(bench.repository, "queued")
    assert bench.repository.invalidate(bench.store.read("assistants:run_1")) == (set(), set())
    record_status(other, "in_progress")
    page = bench.store.read("assistants:run_1", after=1)
    assert bench.repository.state("assistants:run_1").status == "queued"
    assert bench.repository.invalidate(page) == ({page[0].position}, set())
    assert bench.repository.state("assistants:run_1").status == "in_progress"
    # Read and kept, so that what is told of it later is nothing new.
    assert bench.repository.invalidate(page) == (set(), set())
    first = bench.store.read("assistants:run_1")[:1]
    assert bench.repository.invalidate(first) == (set(), {first[0].position})


def test_open_runs_are_followed_past_a_page() -> None:
    bench = Bench()
    for status in ("queued", "in_progress"):
        snapshot = run_snapshot(body(status), "assistants", observed_at=bench.clock.now())
        bench.repository.record([Observation.of(snapshot)])
    began = bench.clock.now()
    pending = PendingRuns(lambda source: began)
    created, started = bench.store.read("assistants:run_1")
    assert pending.apply(started) is None
    pending.apply(created)
    assert pending.apply(started) == pending.open["assistants:run_1"]
    bench.repository.record(
        [
            Observation.of(
                run_snapshot(body("completed"), "assistants", observed_at=bench.clock.now())
            )
        ]
    )
    [end] = bench.store.read("assistants:run_1", after=2)
    ended = pending.apply(end)
    assert ended is not None
    assert ended.is_ended
    assert pending.open == {}
    assert list(pending.without_steps) == ["assistants:run_1"]
    assert pending.apply(end) is None
    # It was forgotten, and seen anew.
    again = pending.apply(created)
    assert again is not None
    assert again.status == "queued"
    assert pending.pending == ([again], [])


def test_what_ended_long_ago_or_elsewhere_is_done_with() -> None:
    bench = Bench()
    began = bench.clock.now()
    for number in range(3):
        bench.clock.advance(60)
        run = {**body("completed"), "id": f"run_{number}"}
        seen = run_snapshot(run, "assistants", observed_at=bench.clock.now())
        bench.repository.record([Observation.of(seen)])
    moments = {"now": began}
    pending = PendingRuns(lambda source: moments["now"] if source == "assistants" else None)
    elsewhere = PendingRuns(lambda source: None)
    for entry in bench.store.read_all():
        pending.apply(entry)
        elsewhere.apply(entry)
    assert pending.open == elsewhere.open == elsewhere.without_steps == {}
    assert [state.run_id for state in pending.pending.without_steps] == [
        "run_0",
        "run_1",
        "run_2",
    ]
    # Those whose time is over are looked for once there are many.
    moments["now"] = began + timedelta(seconds=121)
    last = bench.store.read_all()[-2:]
    for number in range(2000):
        for entry in last:
            pending.apply(entry._replace(stream=f"assistants:{number}"))
    assert len(pending.without_steps) == 2001
    assert "assistants:run_1" not in pending.without_steps
