"""Step lists from before the end of their run: detected, and read again."""

from tests.support.observations import USAGE, at, ended, seen
from tests.support.poller_bench import Bench, body, run, watch
from tests.support.step_source import SourceWithSteps, recorded, step
from tracker.core.decider import fold
from tracker.core.other_decisions import is_stale_step_list
from tracker.core.snapshot import StepSnapshot
from tracker.core.status import is_ended
from tracker.core.usage import Usage
from tracker.polling.requests.step_reads import MAX_STALE_LISTS
from tracker.testing import given


def _step(number: int, status: str, end: float, total: int | None) -> StepSnapshot:
    return StepSnapshot(
        step_id=f"step_{number}",
        type="tool_calls",
        status=status,
        created_at=at(end - 1),
        ended_at=at(end) if is_ended(status) else None,
        usage=None if total is None else Usage(total_tokens=total),
    )


def test_a_list_of_steps_from_before_the_end_is_known_as_such() -> None:
    done = fold(given().when(ended("completed", 9, 8, usage=USAGE)).decided)
    cut = fold(given().when(ended("expired", 9, 8)).decided)
    never = fold(given().when(ended("failed", 9, 8, started=None)).decided)
    assert not is_stale_step_list(fold(given().when(seen("queued", 1)).decided), [])
    assert is_stale_step_list(done, [])
    assert is_stale_step_list(done, [_step(1, "completed", 4, 14)])
    assert is_stale_step_list(
        done, [_step(1, "completed", 4, 15), _step(2, "in_progress", 7, None)]
    )
    assert not is_stale_step_list(done, [_step(1, "completed", 4, 10), _step(2, "completed", 7, 5)])
    # Nobody says what they used.
    assert not is_stale_step_list(done, [_step(1, "completed", 4, None)])
    assert is_stale_step_list(cut, [_step(1, "completed", 4, 5)])
    assert not is_stale_step_list(cut, [_step(1, "completed", 4, 5), _step(2, "expired", 8, None)])
    assert not is_stale_step_list(never, [])


def test_an_old_list_is_asked_for_again_and_taken_in_the_end() -> None:
    async def scenario(bench: Bench) -> None:
        service = SourceWithSteps(bench, body("in_progress"), body("completed"))
        service.steps = [step("step_1"), step("step_2", "in_progress")]
        watch(bench, service)
        await bench.advance(0.5)
        assert (recorded(bench), len(service.steps_asked)) == ([], 1)
        service.steps = [step("step_1"), step("step_2")]
        await bench.advance(2)
        assert recorded(bench) == ["step_1", "step_2"]
        assert len(service.steps_asked) == 2

        service.replies = [body("completed")]
        service.steps = [step("step_1"), step("step_2", "in_progress")]
        watch(bench, service, "run_2")
        await bench.advance(5)
        assert recorded(bench, "run_2") == ["step_1"]
        assert len(service.steps_asked) == 2 + 1 + MAX_STALE_LISTS

        watch(bench, service, "run_3")
        await bench.advance(0.5)
        service.steps = [step("step_2", "in_progress")]
        await bench.advance(5)
        assert recorded(bench, "run_3") == ["step_1"]
        assert bench.poller.step_reads.waiting == 0

    run(scenario)
