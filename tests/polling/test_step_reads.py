"""Step reads: once a run has ended, after the polls that are due, each step recorded once."""

import asyncio
from typing import Any

import pytest

from tests.support.poller_bench import Bench, ScriptedSource, body, ended, run, watch
from tests.support.step_source import ENDED, SourceWithSteps, recorded, step
from tracker.polling.policy import rate_limiter
from tracker.polling.run_updates import StepsWhen


def test_the_steps_of_a_run_that_ended_are_recorded_from_all_pages_and_asked_for_once() -> None:
    async def scenario(bench: Bench) -> None:
        service = SourceWithSteps(bench, body("queued"), body("in_progress"), body("completed"))
        watch(bench, service)
        await bench.advance(30)
        assert recorded(bench) == ["step_1", "step_2", "step_3"]
        assert bench.topics[-4:] == ["run.completed", *["run.step_recorded"] * 3]
        assert [after for _, _, after in service.steps_asked] == [None, "step_2"]
        assert bench.poller.step_reads.waiting == 0

    run(scenario)


@pytest.mark.parametrize(("steps", "asked"), [("never", 0), ("ended", 1), ("live", 3)])
def test_when_steps_are_asked_for_is_the_users_choice(steps: StepsWhen, asked: int) -> None:
    async def scenario(bench: Bench) -> None:
        replies = [body("queued"), body("in_progress"), body("requires_action"), body("completed")]
        service = SourceWithSteps(bench, *replies)
        service.steps = [step("step_1")]
        watch(bench, service)
        await bench.advance(60)
        assert len(service.steps_asked) == asked
        assert recorded(bench) == (["step_1"] if asked else [])

    run(scenario, steps)


def test_an_end_that_came_another_way_than_by_a_poll_is_one_too() -> None:
    async def scenario(bench: Bench) -> None:
        service = SourceWithSteps(bench, body("in_progress"))
        watched = bench.watch_list.watch(service, "thread_1", "run_1")
        await bench.advance(1)
        bench.updates.on_state(watched.stream, watched.state._replace(status="cancelled"))
        await bench.advance(1)
        assert recorded(bench) == ["step_1", "step_2", "step_3"]

    run(scenario)


def test_a_run_that_ends_while_its_steps_are_being_read_has_them_read_again() -> None:
    class Held(SourceWithSteps):
        gate = asyncio.Event()

        async def fetch_steps(
            self, thread_id: str | None, run_id: str, after: str | None = None
        ) -> Any:
            page = await super().fetch_steps(thread_id, run_id, after)
            await self.gate.wait()
            return page

    async def scenario(bench: Bench) -> None:
        service = Held(bench, body("in_progress"), body("completed"))
        service.gate = asyncio.Event()
        service.steps = [step("step_1")]
        watched = bench.watch_list.watch(service, "thread_1", "run_1")
        for _ in range(200):
            await bench.poller.tick()
            await asyncio.sleep(0)
            bench.clock.advance(0.05)
        assert len(service.steps_asked) == 1
        await watched.wait_for(ended)
        service.steps.append(step("step_2"))
        service.gate.set()
        await bench.advance(2)
        assert len(service.steps_asked) == 2
        assert recorded(bench) == ["step_1", "step_2"]

    run(scenario, "live")


def test_polls_go_before_steps_and_steps_are_not_starved() -> None:
    async def scenario(bench: Bench) -> None:
        service = SourceWithSteps(bench, body("in_progress"))
        service.steps = [step("step_1")]
        bench.watch_list.dispatcher(service).limiter.limit = rate_limiter.initial(5.0, 5.0)
        for number in range(100):
            watch(bench, service, f"open_{number}", f"thread_{number}")
        await bench.advance(60)
        alone = len(service.asked)
        for number in range(60):
            bench.updates.queue_steps(service, "thread_x", f"ended_{number}")
        at = bench.clock.monotonic()
        await bench.advance(60)
        both = len(service.asked) - alone
        assert len(service.steps_asked) == 60
        # Spread over the minute among the polls, which keep at least the better part.
        assert service.steps_asked[-1][0] - at > 5
        assert both > 2 * len(service.steps_asked)

    run(scenario)


def test_a_source_without_steps_is_not_asked_for_them() -> None:
    async def scenario(bench: Bench) -> None:
        service = ScriptedSource(bench.clock, body("completed"))
        watch(bench, service)
        await bench.advance(5)
        assert bench.topics == ["run.created", "run.completed"]
        assert bench.poller.step_reads.waiting == 0

    run(scenario)


def test_the_steps_of_a_run_that_another_tracker_polls_are_left_to_it() -> None:
    async def scenario(bench: Bench) -> None:
        service = SourceWithSteps(bench, body("in_progress", thread_id=None))
        for number in (1, 2):
            watch(bench, service, f"run_{number}", f"thread_{number}")
        await bench.advance(1)
        bench.watch_list.set_ownership(lambda source, key: key == "thread_1")
        for number in (1, 2):
            ended = ENDED._replace(thread_id=f"thread_{number}")
            bench.updates.on_state(f"assistants:run_{number}", ended)
        await bench.advance(5)
        assert {run_id for _, run_id, _ in service.steps_asked} == {"run_1"}

    run(scenario)
