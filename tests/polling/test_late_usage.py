"""Polls of ended runs whose service may report their usage later."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest

from tests.support.poller_bench import Bench, Reply, ScriptedSource, body, run
from tracker.core.events import RunUsageReported
from tracker.core.snapshot import RunSnapshot
from tracker.core.state import RunState
from tracker.core.usage import Usage
from tracker.errors import (
    Busy,
    KeyRefused,
    Misconfigured,
    NotFound,
    RequestRefused,
    RunfoldError,
    Unreachable,
)
from tracker.polling.error_policy import MAX_TRIES
from tracker.polling.recovery import resume
from tracker.recording.observation import Observation
from tracker.recording.pending_runs import Pending
from tracker.sources import AgentTurns, Responses

SOME = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
MORE = {"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": 19}


def ended_body(usage: Mapping[str, int] | None = None) -> dict[str, Any]:
    return body("completed", usage=usage)


class LateUsageSource(ScriptedSource):
    """A service that says the usage of a run late; it is asked again until there is one."""

    delays: Sequence[float] = (10.0, 60.0, 600.0)
    always = False

    def usage_settles_after(self, state: RunState) -> Sequence[float]:
        return self.delays if self.always or state.usage is None else ()


def watch(bench: Bench, service: ScriptedSource, name: str = "run_1") -> None:
    bench.watch_list.watch(service, "thread_1", name)


def reported_usages(bench: Bench) -> list[Usage | None]:
    events = [entry.event for entry in bench.store.read("assistants:run_1")]
    return [event.usage for event in events if isinstance(event, RunUsageReported)]


def seconds_after_first(service: ScriptedSource) -> list[int]:
    """Returns the seconds from the first poll to each of the others."""
    return [round(at - service.asked[0]) for at in service.asked[1:]]


def test_a_usage_that_comes_late_is_recorded_and_then_asked_for_no_more() -> None:
    async def scenario(bench: Bench) -> None:
        service = LateUsageSource(bench.clock, ended_body(), ended_body(), ended_body(SOME))
        watch(bench, service)
        await bench.advance(1000, step=0.5)
        assert seconds_after_first(service) == [10, 60]
        assert reported_usages(bench) == [Usage(**SOME)]
        assert bench.topics == ["run.created", "run.completed", "run.usage_reported"]
        assert bench.status(service).waiting == 0

    run(scenario)


def test_one_that_stays_away_is_asked_for_a_bounded_number_of_times() -> None:
    async def scenario(bench: Bench) -> None:
        service = LateUsageSource(bench.clock, ended_body())
        watch(bench, service)
        await bench.advance(4000, step=0.5)
        assert seconds_after_first(service) == [10, 60, 600]
        assert reported_usages(bench) == []
        assert bench.status(service).waiting == 0

    run(scenario)


def test_each_correction_is_recorded_where_usages_change() -> None:
    async def scenario(bench: Bench) -> None:
        service = LateUsageSource(bench.clock, ended_body(SOME), ended_body(SOME), ended_body(MORE))
        service.always = True
        watch(bench, service)
        await bench.advance(1000, step=0.5)
        assert seconds_after_first(service) == [10, 60, 600]
        assert reported_usages(bench) == [Usage(**MORE)]

    run(scenario)


def test_the_last_answer_is_handed_on_so_that_the_same_costs_little() -> None:
    class Knowing(LateUsageSource):
        known: list[bytes | None]

        async def fetch(
            self, thread_id: str | None, run_id: str, known: bytes | None = None
        ) -> Any:
            self.known.append(known)
            return await super().fetch(thread_id, run_id, known)

    async def scenario(bench: Bench) -> None:
        service = Knowing(bench.clock, ended_body())
        service.known = []
        watch(bench, service)
        await bench.advance(100, step=0.5)
        assert [known is None for known in service.known] == [True, False, False]

    run(scenario)


def test_a_source_that_says_nothing_of_it_is_not_asked() -> None:
    async def scenario(bench: Bench) -> None:
        service = ScriptedSource(bench.clock, ended_body())
        watch(bench, service)
        await bench.advance(1000, step=0.5)
        assert len(service.asked) == 1

    run(scenario)


def test_ends_that_came_another_way_than_by_a_poll_are_looked_after_too() -> None:
    async def scenario(bench: Bench) -> None:
        service = LateUsageSource(bench.clock, ended_body(SOME))

        def seen(name: str, **moments: datetime) -> RunSnapshot:
            return service.snapshot(
                ended_body() | {"id": name}, observed_at=bench.clock.now(), **moments
            )

        [one] = bench.repository.record([Observation.of(seen("run_1"))])
        assert not isinstance(one, RunfoldError)
        bench.updates.on_recorded(service, one)
        watched = bench.watch_list.watch(service, "thread_1", "run_2")
        bench.updates.on_state(watched.stream, one.state._replace(run_id="run_2"))
        await bench.advance(30)
        # Of the second nothing is recorded, but it is asked about.
        assert len(service.asked) == 2
        assert reported_usages(bench) == [Usage(**SOME)]

    run(scenario)


@pytest.mark.parametrize(("ago", "asked"), [(5, [5, 55]), (30, [30]), (700, [])])
def test_after_a_restart_the_looks_that_are_still_to_come_are_taken(
    ago: int, asked: list[int]
) -> None:
    async def scenario(bench: Bench) -> None:
        service = LateUsageSource(bench.clock, ended_body())
        service.delays = (10.0, 60.0)
        at = bench.clock.now()
        bench.clock.advance(ago)
        seen = service.snapshot(ended_body(), observed_at=at)
        bench.repository.record([Observation.of(seen)])
        state = RunState("assistants", "run_1", "thread_1", status="completed", ended_at=at)
        resume(bench.watch_list, bench.updates, {"assistants": service}, Pending([], [state]))
        began = bench.clock.monotonic()
        await bench.advance(200, step=0.5)
        assert [round(it - began) for it in service.asked] == asked

    run(scenario)


class FailingSource(LateUsageSource):
    """A service that fails once the run has ended, as long as there is an error."""

    error: Exception | None = None

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Any:
        answer = await super().fetch(thread_id, run_id, known)
        if len(self.asked) > 1 and self.error is not None:
            raise self.error.with_traceback(None)
        return answer


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (Busy("later"), MAX_TRIES + 2),
        (NotFound("deleted"), 3),
        (RequestRefused("no"), 3),
        (Misconfigured("no such address"), 3),
    ],
)
def test_a_look_that_fails_is_tried_again_after_1_10_and_60_minutes(
    error: RunfoldError, tries: int
) -> None:
    async def scenario(bench: Bench) -> None:
        service = FailingSource(bench.clock, ended_body())
        service.error = error
        watch(bench, service)
        await bench.advance(3000, step=0.5)
        assert len(service.asked) - 1 == tries
        assert bench.status(service).waiting == 0
        assert bench.status(service).set_aside == 1
        assert bench.topics == ["run.created", "run.completed"]
        service.error, service.replies = None, [ended_body(SOME)]
        await bench.advance(2000, step=0.5)
        assert reported_usages(bench) == [Usage(**SOME)]
        assert bench.status(service).set_aside == 0

    run(scenario)


@pytest.mark.parametrize("error", [Unreachable("gone"), ZeroDivisionError("a defect")])
def test_where_the_service_is_down_it_is_probed_and_nothing_is_lost(error: Exception) -> None:
    async def scenario(bench: Bench) -> None:
        service = FailingSource(bench.clock, ended_body(), ended_body(SOME))
        service.error = error
        watch(bench, service)
        await bench.advance(3600, step=0.5)
        assert len(service.asked) < 200
        assert reported_usages(bench) == []
        service.error = None
        await bench.advance(120, step=0.5)
        assert reported_usages(bench) == [Usage(**SOME)]
        assert bench.status(service).waiting == 0

    run(scenario)


def test_a_key_that_is_refused_for_a_while_loses_nothing() -> None:
    async def scenario(bench: Bench) -> None:
        refused: list[Reply] = [KeyRefused("expired")] * 3
        service = LateUsageSource(bench.clock, ended_body(), *refused, ended_body(SOME))
        watch(bench, service)
        await bench.advance(600, step=0.5)
        assert reported_usages(bench) == [Usage(**SOME)]

    run(scenario)


def test_polls_go_first() -> None:
    def busy(bench: Bench) -> Callable[[], Awaitable[None]]:
        async def scenario() -> None:
            service = LateUsageSource(bench.clock, body("in_progress"))
            for number in range(100):
                bench.watch_list.watch(service, f"thread_{number}", f"open_{number}")
            state = RunState(
                "assistants", status="completed", ended_at=bench.clock.now(), thread_id="t"
            )
            for number in range(300):
                bench.updates.on_ended(service, "t", state._replace(run_id=f"ended_{number}"))
            asked: list[str] = []
            plain = service.fetch

            async def fetch(thread_id: str | None, run_id: str, known: bytes | None = None) -> Any:
                asked.append(run_id)
                return await plain(thread_id, run_id, known)

            service.fetch = fetch  # type: ignore[method-assign]
            await bench.advance(120)
            late = sum(name.startswith("ended") for name in asked)
            assert 0 < late < 0.25 * len(asked)

        return scenario

    async def scenario(bench: Bench) -> None:
        await busy(bench)()

    run(scenario)


@pytest.mark.parametrize("by", ["this process", "another"])
def test_a_run_that_was_forgotten_is_not_recorded_again(by: str) -> None:
    async def scenario(bench: Bench) -> None:
        service = LateUsageSource(bench.clock, ended_body(), ended_body(SOME))
        watch(bench, service)
        await bench.advance(5, step=0.5)
        # Another process forgets it, and this one still has its state in memory.
        bench.store.forget(["assistants:run_1"])
        if by == "this process":
            bench.repository._heads.pop("assistants:run_1")
        await bench.advance(1000, step=0.5)
        assert bench.topics == []
        assert seconds_after_first(service) == [10]
        assert bench.status(service).waiting == 0

    run(scenario)


def test_what_the_sources_here_say() -> None:
    turns, responses = AgentTurns("https://host"), Responses("https://host")
    done = RunState(status="completed")
    counted = done._replace(usage=Usage(**SOME))
    assert list(turns.usage_settles_after(done)) == [10, 60, 600]
    assert turns.usage_settles_after(counted) == turns.usage_settles_after(done)
    assert list(responses.usage_settles_after(done)) == [10, 60, 600]
    assert list(responses.usage_settles_after(counted)) == []
    # Services count nothing of these as a rule.
    for status in ("failed", "cancelled"):
        assert list(responses.usage_settles_after(RunState(status=status))) == []
    asyncio.run(turns.aclose())
