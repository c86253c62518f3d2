"""Steps that the service does not give, or not yet: read again, within bounds."""

import asyncio
from typing import Any

import pytest

from tests.support.poller_bench import Bench, body, run, watch
from tests.support.step_source import ENDED, SourceWithSteps, recorded, step
from tracker.errors import (
    Busy,
    KeyRefused,
    Misconfigured,
    NotFound,
    RateLimited,
    RequestRefused,
    RunfoldError,
    Unreachable,
)
from tracker.polling.error_policy import MAX_TRIES


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("reset"),
        RateLimited("slow down", retry_after=0.5),
        Busy("again"),
        ZeroDivisionError("a defect of the source"),
    ],
)
def test_steps_that_fail_are_asked_for_again_from_the_first_page(error: Exception) -> None:
    async def scenario(bench: Bench) -> None:
        service = SourceWithSteps(bench, body("completed"), failures=[error, error])
        watch(bench, service)
        await bench.advance(60)
        assert [after for _, _, after in service.steps_asked] == [None, None, None, "step_2"]
        assert len(recorded(bench)) == 3

    run(scenario)


def test_steps_that_fail_for_long_are_set_aside_and_read_in_the_end() -> None:
    async def scenario(bench: Bench) -> None:
        service = SourceWithSteps(bench, body("completed"), failures=[Busy("not now")] * 100)
        watch(bench, service)
        await bench.advance(120, step=0.5)
        assert MAX_TRIES < len(service.steps_asked) <= MAX_TRIES + 2
        status = bench.status(service)
        assert (status.set_aside, status.given_up, status.waiting) == (1, 0, 0)
        # They are not recorded, and nothing is to be waited for.
        assert bench.poller.step_reads.waiting == 0
        assert not await bench.poller.step_reads.drain(1)
        service.failures = []
        await bench.advance(3700, step=0.5)
        assert len(recorded(bench)) == 3
        assert bench.status(service).set_aside == 0
        assert await bench.poller.step_reads.drain(1)

    run(scenario)


def test_steps_that_fail_for_a_day_are_given_up_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(bench: Bench) -> None:
        service = SourceWithSteps(bench, body("completed"), failures=[Busy("not now")] * 100)
        watch(bench, service)
        await bench.advance(600, step=0.5)
        await bench.advance(25 * 3600, step=30.0)
        # After 1 and 10 minutes, and then each hour.
        assert MAX_TRIES + 24 <= len(service.steps_asked) <= MAX_TRIES + 27
        status = bench.status(service)
        assert (status.set_aside, status.given_up) == (0, 1)
        assert "assistants:run_1: its reading of steps is given up: not now" in caplog.messages

    run(scenario)


@pytest.mark.parametrize("error", [NotFound("no run"), RequestRefused("no steps here")])
def test_steps_that_are_denied_are_asked_for_after_a_minute(error: RunfoldError) -> None:
    async def scenario(bench: Bench) -> None:
        service = SourceWithSteps(bench, body("completed"), failures=[error])
        watch(bench, service)
        await bench.advance(50)
        assert len(service.steps_asked) == 1
        assert bench.poller.step_reads.waiting == 0
        assert await bench.poller.step_reads.drain(1)
        assert bench.topics == ["run.created", "run.completed"]
        await bench.advance(20)
        assert len(recorded(bench)) == 3
        assert bench.status(service).set_aside == 0

    run(scenario)


def test_refusals_of_the_rate_are_no_failures_however_many() -> None:
    async def scenario(bench: Bench) -> None:
        refused = RateLimited("slow down", retry_after=1.0)
        service = SourceWithSteps(bench, body("completed"), failures=[refused] * 30)
        watch(bench, service)
        await bench.advance(30)
        assert bench.poller.step_reads.waiting == 1
        assert bench.status(service).set_aside == 0
        await bench.advance(600, step=0.5)
        assert len(recorded(bench)) == 3

    run(scenario)


@pytest.mark.parametrize("error", [KeyRefused("no rights"), Misconfigured("no such address")])
def test_a_service_that_denies_steps_alone_is_polled_on_and_tried_each_minute(
    error: RunfoldError,
) -> None:
    async def scenario(bench: Bench) -> None:
        service = SourceWithSteps(bench, body("completed"), failures=[error] * 100)
        watch(bench, service)
        await bench.advance(5)
        for number in range(2, 6):
            watch(bench, service, f"run_{number}")
        service.replies = [body("in_progress")]
        before = len(service.asked)
        await bench.advance(40)
        assert len(service.asked) > before + 10
        assert len(service.steps_asked) == 1
        for number in range(2, 6):
            bench.updates.on_state(f"assistants:run_{number}", ENDED)
        await bench.advance(40)
        # As many as may go at once.
        tried = len(service.steps_asked)
        assert 2 <= tried <= 3
        service.failures = []
        await bench.advance(70)
        assert bench.poller.step_reads.waiting == 0
        assert len({run_id for _, run_id, _ in service.steps_asked[tried:]}) == 5

    run(scenario)


def test_nothing_is_asked_while_the_source_is_left_alone() -> None:
    async def scenario(bench: Bench) -> None:
        service = SourceWithSteps(bench, KeyRefused("wrong"))
        watch(bench, service)
        await bench.advance(1)
        for number in range(20):
            bench.updates.queue_steps(service, "thread_1", f"ended_{number}")
        service.failures = [KeyRefused("wrong")] * 100
        await bench.advance(600, step=0.1)
        asked = len(service.asked) + len(service.steps_asked)
        # A probe a minute, whatever it is for.
        assert 8 <= asked <= 12

    run(scenario)


def test_a_service_that_comes_back_after_an_hour_gives_the_steps_still() -> None:
    async def scenario(bench: Bench) -> None:
        service = SourceWithSteps(bench, body("completed"))
        watch(bench, service)
        service.failures = [Unreachable("down")] * 5
        await bench.advance(20)
        service.failures = [Unreachable("down")] * 1000
        for number in range(10):
            bench.updates.queue_steps(service, "thread_1", f"ended_{number}")
        await bench.advance(3600, step=0.5)
        assert len(service.steps_asked) < 200
        service.failures = []
        await bench.advance(120)
        assert bench.poller.step_reads.waiting == 0

    run(scenario)


def test_a_step_that_is_none_is_passed_over_and_a_list_that_repeats_itself_ends() -> None:
    class Repeating(SourceWithSteps):
        async def fetch_steps(
            self, thread_id: str | None, run_id: str, after: str | None = None
        ) -> Any:
            answer, shown, _ = await super().fetch_steps(thread_id, run_id)
            return answer, shown, "step_2"

    async def scenario(bench: Bench) -> None:
        service = Repeating(bench, body("completed"))
        service.steps = [step("step_1"), {"id": 7}]
        watch(bench, service)
        await bench.advance(10)
        assert recorded(bench) == ["step_1"]
        assert len(service.steps_asked) == 2

    run(scenario)


def test_steps_that_wait_do_not_hold_up_the_end() -> None:
    async def scenario(bench: Bench) -> None:
        service = SourceWithSteps(bench, body("completed"), failures=[Unreachable("down")] * 100)
        watch(bench, service)
        await bench.advance(1)
        assert bench.poller.step_reads.waiting == 1
        await asyncio.wait_for(bench.poller.close(), 60)

    run(scenario)
