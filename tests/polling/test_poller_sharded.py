"""The poller among others: it polls its own threads, and runs that nobody has recorded."""

import asyncio
from datetime import timedelta

import pytest

from tests.support.poller_bench import KNOWN, Bench, Scripted, body, others
from tracker.recording.observation import Observation
from tracker.recording.pending_runs import PendingRuns
from tracker.recording.repository import RunRepository
from tracker.sources.assistants.snapshots import run_snapshot
from tracker.testing import FakeClock


def mine(source: str, thread_id: str) -> bool:
    return True


def test_what_others_own_is_not_asked_about_but_known() -> None:
    async def divide() -> None:
        bench = Bench()
        source = Scripted(bench.clock, body("in_progress"))
        bench.poller.divide(others)
        watched = bench.poller.watch(source, "thread_1", "run_1", state=KNOWN)
        waiting = asyncio.create_task(watched.until(lambda state: state.needs_action))
        await bench.after(60)
        assert source.asked == []
        assert bench.poller.find("assistants:run_1") is watched
        assert bench.poller.watch(source, "thread_1", "run_1") is watched
        bench.poller.notice("assistants:run_1", KNOWN._replace(status="requires_action"))
        assert (await waiting).needs_action
        bench.poller.notice("assistants:run_1", KNOWN._replace(status="completed"))
        assert bench.poller.watched == []

    asyncio.run(divide())


def test_what_nobody_knows_is_asked_about_until_it_is_recorded() -> None:
    async def divide() -> None:
        bench = Bench()
        source = Scripted(bench.clock, body("in_progress"))
        bench.poller.divide(others)
        bench.poller.watch(source, "thread_1", "run_1")
        await bench.after(60)
        assert len(source.asked) == 1
        assert bench.histories.state("assistants:run_1").status == "in_progress"
        assert [watched.run_id for watched in bench.poller.watched] == ["run_1"]

    asyncio.run(divide())


@pytest.mark.parametrize("moment", [0.0, 0.01, 0.05, 0.3, 5.0])
def test_what_comes_and_goes_is_asked_about_while_it_is_here(moment: float) -> None:
    async def divide() -> None:
        bench = Bench()
        source = Scripted(bench.clock, body("in_progress"))
        bench.poller.watch(source, "thread_1", "run_1", state=KNOWN)
        await bench.after(60 + moment, 0.01)
        known = bench.poller.find("assistants:run_1")
        bench.poller.divide(others)
        await bench.after(1)
        asked = len(source.asked)
        await bench.after(60)
        assert len(source.asked) == asked
        bench.poller.divide(mine)
        bench.poller.divide(mine)
        await bench.after(60)
        assert asked + 2 < len(source.asked) < 3 * asked
        assert bench.poller.find("assistants:run_1") is known
        source.replies = [body("completed")]
        await bench.after(60)
        assert bench.poller.watched == []

    asyncio.run(divide())


def test_what_others_record_makes_memory_void() -> None:
    clock = FakeClock()
    bench = Bench()
    other = RunRepository(bench.store)

    def seen(histories: RunRepository, status: str) -> None:
        clock.advance(1)
        snapshot = run_snapshot(body(status), "assistants", observed_at=clock.now())
        histories.record([Observation.of(snapshot)])

    seen(bench.histories, "queued")
    assert bench.histories.outdate(bench.store.read("assistants:run_1")) == (set(), set())
    seen(other, "in_progress")
    page = bench.store.read("assistants:run_1", after=1)
    assert bench.histories.state("assistants:run_1").status == "queued"
    assert bench.histories.outdate(page) == ({page[0].position}, set())
    assert bench.histories.state("assistants:run_1").status == "in_progress"
    # Read and kept, so that what is told of it later is nothing new.
    assert bench.histories.outdate(page) == (set(), set())
    first = bench.store.read("assistants:run_1")[:1]
    assert bench.histories.outdate(first) == (set(), {first[0].position})


def test_open_runs_are_followed_past_a_page() -> None:
    bench = Bench()
    for status in ("queued", "in_progress"):
        snapshot = run_snapshot(body(status), "assistants", observed_at=bench.clock.now())
        bench.histories.record([Observation.of(snapshot)])
    began = bench.clock.now()
    unfinished = PendingRuns(lambda source: began)
    created, started = bench.store.read("assistants:run_1")
    assert unfinished.take(started) is None
    unfinished.take(created)
    assert unfinished.take(started) == unfinished.open["assistants:run_1"]
    bench.histories.record(
        [
            Observation.of(
                run_snapshot(body("completed"), "assistants", observed_at=bench.clock.now())
            )
        ]
    )
    [end] = bench.store.read("assistants:run_1", after=2)
    ended = unfinished.take(end)
    assert ended is not None
    assert ended.is_ended
    assert unfinished.open == {}
    assert list(unfinished.stepless) == ["assistants:run_1"]
    assert unfinished.take(end) is None
    # It was forgotten, and seen anew.
    again = unfinished.take(created)
    assert again is not None
    assert again.status == "queued"
    assert unfinished.left == ([again], [])


def test_what_ended_long_ago_or_elsewhere_is_done_with() -> None:
    bench = Bench()
    began = bench.clock.now()
    for number in range(3):
        bench.clock.advance(60)
        run = {**body("completed"), "id": f"run_{number}"}
        seen = run_snapshot(run, "assistants", observed_at=bench.clock.now())
        bench.histories.record([Observation.of(seen)])
    moments = {"now": began}
    unfinished = PendingRuns(lambda source: moments["now"] if source == "assistants" else None)
    elsewhere = PendingRuns(lambda source: None)
    for entry in bench.store.read_all():
        unfinished.take(entry)
        elsewhere.take(entry)
    assert unfinished.open == elsewhere.open == elsewhere.stepless == {}
    assert [state.run_id for state in unfinished.left.stepless] == ["run_0", "run_1", "run_2"]
    # Those whose time is over are looked for once there are many.
    moments["now"] = began + timedelta(seconds=121)
    last = bench.store.read_all()[-2:]
    for number in range(2000):
        for entry in last:
            unfinished.take(entry._replace(stream=f"assistants:{number}"))
    assert len(unfinished.stepless) == 2001
    assert "assistants:run_1" not in unfinished.stepless
