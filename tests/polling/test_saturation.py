"""Saturation: more polls are due than the service allows, and none is starved."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.poller_bench import Bench, body, run
from tests.support.step_source import SourceWithSteps, step
from tracker.core.state import RunState, progress_marker
from tracker.core.status import REQUIRES_ACTION
from tracker.errors import RateLimited
from tracker.polling.policy import rate_limiter
from tracker.polling.run_updates import may_hide_pause

BIRTH = datetime(2026, 1, 1, 12, tzinfo=UTC)


def on_saturated_source(
    scenario: Callable[[Bench, SourceWithSteps], Awaitable[None]], runs: int = 400
) -> Callable[[Bench], Awaitable[None]]:
    """A service that gives two requests a second, and far more runs at work than that is for."""

    async def saturate(bench: Bench) -> None:
        service = SourceWithSteps(bench, body("in_progress"))
        service.steps = [step("step_1")]
        for number in range(runs):
            bench.watch_list.watch(service, f"thread_{number}", f"run_{number}")
        dispatcher = bench.watch_list.dispatcher(service)
        dispatcher.limiter.limit = rate_limiter.initial(2.0, 2.0)
        await scenario(bench, service)

    return saturate


def test_steps_are_read_while_polls_could_spend_it_all_and_hidden_pauses_first() -> None:
    async def scenario(bench: Bench, service: SourceWithSteps) -> None:
        for number in range(50):
            bench.updates.queue_steps(service, "thread_x", f"plain_{number}")
            bench.updates.queue_steps(service, "thread_x", f"hides_{number}", hides_pause=True)
        await bench.advance(250, step=0.1)
        asked = [run_id for _, run_id, _ in service.steps_asked]
        plain = [run_id for run_id in asked if run_id.startswith("plain")]
        assert 0.1 * 500 - 1 <= len(plain) <= 0.15 * 500
        assert 0.06 * 500 <= len(asked) - len(plain) <= 0.1 * 500
        assert len(service.asked) >= 0.7 * 500

    run(on_saturated_source(scenario))


def test_a_run_that_nobody_has_seen_waits_for_its_first_look_where_the_rate_is_short() -> None:
    async def scenario(bench: Bench, service: SourceWithSteps) -> None:
        await bench.advance(260, step=0.1)
        watched = bench.watch_list.watch(service, "thread_new", "run_new")
        assert 1.0 < watched.due - bench.clock.monotonic() <= 5.0
        known = RunState(source="assistants", run_id="run_known", status="in_progress")
        watched = bench.watch_list.watch(service, "thread_new", "run_known", state=known)
        assert watched.due == bench.clock.monotonic()

    run(on_saturated_source(scenario))


def test_where_the_rate_is_enough_the_first_look_comes_at_once() -> None:
    async def scenario(bench: Bench) -> None:
        service = SourceWithSteps(bench, body("in_progress"))
        bench.watch_list.watch(service, "thread_1", "run_1")
        await bench.advance(60)
        watched = bench.watch_list.watch(service, "thread_new", "run_new")
        assert watched.due == bench.clock.monotonic()

    run(scenario)


def test_a_refused_errand_goes_again_before_polls() -> None:
    async def scenario(bench: Bench, service: SourceWithSteps) -> None:
        service.failures = [RateLimited("slowly", retry_after=1.0)]
        bench.updates.queue_steps(service, "thread_x", "hides", hides_pause=True)
        await bench.advance(200, step=0.1)
        assert len(service.steps_asked) == 2
        assert bench.poller.step_reads.waiting == 0

    run(on_saturated_source(scenario))


def at(seconds: float) -> datetime:
    return BIRTH + timedelta(seconds=seconds)


def ended_state(started: float, *past: tuple[object, ...]) -> RunState:
    times = {"created_at": BIRTH, "started_at": at(started), "ended_at": at(60)}
    return RunState(status="completed", past=frozenset(past), **times)  # type: ignore[arg-type]


SEEN = ("place", REQUIRES_ACTION, at(1), "call_1")
INFERRED = progress_marker(REQUIRES_ACTION, at(1), ())


@pytest.mark.parametrize(
    ("state", "hides"),
    [
        (ended_state(1), False),
        (ended_state(30), True),
        (ended_state(30, SEEN), False),
        (ended_state(30, INFERRED), True),
        (ended_state(30, SEEN, INFERRED), True),
        (RunState(status="completed"), False),
    ],
)
def test_what_hides_a_pause(state: RunState, hides: bool) -> None:
    assert may_hide_pause(state) is hides
