"""The poller on a fake clock: its requests, their times, and the recorded events."""

import asyncio

import pytest

from tests.support.poller_bench import Bench, Reply, ScriptedSource, body, ended, run, watch
from tracker.core.events import RunVanished
from tracker.errors import (
    KeyRefused,
    NotFound,
    RateLimited,
    RequestRefused,
    RunfoldError,
    Unreachable,
    UnusableAnswer,
)
from tracker.recording.observation import Observation, RecordResult
from tracker.sources.answer import Answer
from tracker.sources.assistants.snapshots import run_snapshot
from tracker.testing import FakeClock


def test_a_run_is_watched_to_its_end_and_no_further() -> None:
    async def scenario(bench: Bench) -> None:
        service = ScriptedSource(
            bench.clock, body("queued"), body("in_progress"), body("completed")
        )
        watched = watch(bench, service)
        await bench.advance(10)
        assert (await watched.wait_for(ended)).status == "completed"
        assert bench.topics == ["run.created", "run.status_changed", "run.completed"]
        assert len(service.asked) == 3
        assert bench.watch_list.runs == []

    run(scenario)


def test_an_answer_that_says_the_same_is_not_even_read() -> None:
    async def scenario(bench: Bench) -> None:
        plain, spaced = body("queued"), body("queued") | {"untracked": 1}
        service = ScriptedSource(bench.clock, plain, plain, plain, spaced, body("completed"))
        watch(bench, service)
        await bench.advance(10)
        assert len(service.asked) == 5
        assert service.read == 2
        [_, end] = bench.store.read("assistants:run_1")
        # The last look that showed nothing new bounds the change from below.
        assert end.event.not_before is not None  # type: ignore[attr-defined]
        assert end.event.not_before.timestamp() == pytest.approx(  # type: ignore[attr-defined]
            bench.clock.now().timestamp() - bench.clock.monotonic() + service.asked[3]
        )

    run(scenario)


def test_a_hint_to_wait_is_obeyed() -> None:
    async def scenario(bench: Bench) -> None:
        service = ScriptedSource(bench.clock, body("queued"), hint=3.0)
        watch(bench, service)
        await bench.advance(10)
        pauses = [b - a for a, b in zip(service.asked, service.asked[1:], strict=False)]
        assert pauses
        assert min(pauses) >= 3.0

    run(scenario)


def test_failures_leave_the_run_and_are_asked_again() -> None:
    async def scenario(bench: Bench) -> None:
        service = ScriptedSource(
            bench.clock,
            body("queued"),
            Unreachable("reset"),
            UnusableAnswer("a page"),
            Unreachable("down", retry_after=2.0),
            body("completed"),
        )
        watched = watch(bench, service)
        await bench.advance(20)
        assert (await watched.wait_for(ended)).status == "completed"
        assert bench.topics == ["run.created", "run.completed"]

    run(scenario)


class RefusingSource(ScriptedSource):
    """A source that refuses run_1 until later, and answers all others."""

    def __init__(self, clock: FakeClock, *replies: Reply) -> None:
        super().__init__(clock, *replies)
        self.asked_runs: list[str] = []

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        self.asked_runs.append(run_id)
        if run_id == "run_1":
            raise RateLimited("slow down", retry_after=30.0)
        return await super().fetch(thread_id, run_id, known)


def test_refusals_of_several_runs_hold_the_whole_source_for_as_long_as_they_say() -> None:
    async def scenario(bench: Bench) -> None:
        service = ScriptedSource(
            bench.clock, *[RateLimited("slow down", retry_after=14.0)] * 3, body("queued")
        )
        for number in range(5):
            watch(bench, service, f"run_{number}", f"thread_{number}")
        await bench.advance(13.5)
        # The first two polls are sent at once; another run tries whether it was theirs alone.
        assert len(service.asked) == 3
        assert service.asked[2] >= 2.0
        await bench.advance(5)
        assert len(service.asked) > 5

    run(scenario)


def test_an_answer_to_another_run_ends_a_hold_that_was_one_runs() -> None:
    async def scenario(bench: Bench) -> None:
        service = RefusingSource(bench.clock, body("queued"))
        for number in range(1, 4):
            watch(bench, service, f"run_{number}", f"thread_{number}")
        await bench.advance(20)
        asked = service.asked_runs
        assert asked.count("run_1") == 1
        assert asked.count("run_2") > 5
        assert bench.status(service).held_for == 0.0
        assert bench.status(service).rate >= 5.0

    run(scenario)

    run(scenario)


def test_a_wrong_key_stops_the_source_not_its_runs_and_is_probed_each_minute() -> None:
    async def scenario(bench: Bench) -> None:
        service = ScriptedSource(
            bench.clock, KeyRefused("wrong"), KeyRefused("wrong"), body("completed")
        )
        watched = watch(bench, service)
        waiting = asyncio.ensure_future(watched.wait_for(ended))
        await bench.advance(50)
        with pytest.raises(KeyRefused):
            await waiting
        assert len(service.asked) == 1
        await bench.advance(75)
        assert [round(moment) for moment in service.asked] == [0, 60, 120]
        assert watched.state.status == "completed"

    run(scenario)


def test_a_run_has_vanished_after_two_denials_and_not_before() -> None:
    async def scenario(bench: Bench) -> None:
        service = ScriptedSource(
            bench.clock, body("queued"), NotFound("no run"), body("queued"), NotFound("no run")
        )
        watched = watch(bench, service)
        waiting = asyncio.ensure_future(watched.wait_for(ended))
        await bench.advance(8)
        assert bench.topics == ["run.created"]
        await bench.advance(10)
        with pytest.raises(NotFound):
            await waiting
        await bench.poller.close()
        assert bench.topics == ["run.created", "run.vanished"]
        [_, vanished] = bench.store.read("assistants:run_1")
        assert isinstance(vanished.event, RunVanished)
        assert service.asked[-1] - service.asked[-2] >= 5.0

    run(scenario)


def test_a_run_that_is_refused_three_times_is_set_aside() -> None:
    async def scenario(bench: Bench) -> None:
        service = ScriptedSource(bench.clock, RequestRefused("no"))
        waiting = asyncio.ensure_future(watch(bench, service).wait_for(ended))
        await bench.advance(200, step=0.1)
        with pytest.raises(RequestRefused):
            await waiting
        assert len(service.asked) >= 3
        assert service.asked[-1] >= 60.0
        assert bench.status(service).set_aside == 1
        assert bench.watch_list.set_aside_errors.keys() == {"run_1"}

    run(scenario)


def test_a_gateway_that_refuses_for_half_a_minute_loses_no_run() -> None:
    async def scenario(bench: Bench) -> None:
        service = ScriptedSource(bench.clock, RequestRefused("no"))
        watch(bench, service)
        await bench.advance(30)
        service.replies = [body("completed")]
        await bench.advance(60)
        assert bench.topics == ["run.created", "run.completed"]

    run(scenario)


@pytest.mark.parametrize("error", [NotFound("none"), RequestRefused("no")])
def test_a_run_that_was_set_aside_is_looked_at_again(error: RunfoldError) -> None:
    async def scenario(bench: Bench) -> None:
        service = ScriptedSource(bench.clock, body("in_progress"), error)
        watch(bench, service)
        while not bench.status(service).set_aside:
            await bench.advance(1, step=0.5)
        at, before = bench.clock.monotonic(), len(service.asked)
        await bench.advance(5000, step=1.0)
        looks = [moment - at for moment in service.asked[before:]]
        assert looks == [pytest.approx(when, abs=5) for when in (60, 660, 4260)]
        service.replies = [body("completed")]
        await bench.advance(3600, step=1.0)
        assert bench.topics[-1] == "run.completed"
        assert bench.status(service).set_aside == 0

    run(scenario)


def test_a_run_that_stays_away_is_given_up_a_day_later() -> None:
    async def scenario(bench: Bench) -> None:
        service = ScriptedSource(bench.clock, NotFound("none"))
        watch(bench, service)
        await bench.advance(20)
        await bench.advance(26 * 3600, step=30.0)
        assert bench.status(service).set_aside == 0
        assert bench.status(service).given_up == 1
        assert 24 <= len(service.asked) <= 30

    run(scenario)


def test_a_source_that_breaks_does_not_lose_the_run() -> None:
    class Broken(ScriptedSource):
        async def fetch(
            self, thread_id: str | None, run_id: str, known: bytes | None = None
        ) -> Answer:
            if not self.asked:
                self.asked.append(self.clock.monotonic())
                raise ZeroDivisionError("a defect")
            return await super().fetch(thread_id, run_id, known)

    async def scenario(bench: Bench) -> None:
        watched = watch(bench, Broken(bench.clock, body("completed")))
        await bench.advance(5)
        assert (await watched.wait_for(ended)).status == "completed"

    run(scenario)


def test_what_was_captured_meanwhile_is_compared_anew() -> None:
    async def scenario(bench: Bench) -> None:
        service = ScriptedSource(bench.clock, body("in_progress"))
        watched = watch(bench, service)
        await bench.advance(1)
        waiting = run_snapshot(
            body("requires_action"),
            "assistants",
            observed_at=bench.clock.now(),
            asked_at=bench.clock.now(),
        )
        [observed] = bench.repository.record([Observation.of(waiting)])
        assert isinstance(observed, RecordResult)
        bench.updates.on_state(watched.stream, observed.state)
        assert watched.state.needs_action
        await bench.advance(10)
        assert watched.state.status == "in_progress"

    run(scenario)
