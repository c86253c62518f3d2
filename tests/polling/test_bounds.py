"""Memory that polling keeps for runs, threads and waits that are over."""

import asyncio
from contextlib import suppress

from tests.support.poller_bench import Bench, ScriptedSource, body
from tracker.core.state import RunState
from tracker.polling.policy.hazards import HazardModels
from tracker.polling.queues.background_queue import BackgroundQueue, BackgroundRequest
from tracker.polling.queues.background_requests import UsageRecheck
from tracker.polling.watched_run import WatchedRun
from tracker.testing import FakeClock


def test_hazard_models_of_many_assistants_are_bounded() -> None:
    models = HazardModels()
    first = models.for_state(RunState(assistant_id="asst_0", model="m"), 0.0)
    for number in range(5000):
        assert models.for_state(RunState(assistant_id="asst_0", model="m"), 0.0) is first
        models.for_state(RunState(assistant_id=f"asst_{number}", model="m"), 0.0)
    assert len(models._models) <= 1000


def test_waits_that_time_out_leave_nothing_behind() -> None:
    bench = Bench()
    source = ScriptedSource(bench.clock, body("in_progress"))
    watched = WatchedRun(source, "thread_1", "run_1", "assistants:run_1")

    async def wait_in_vain(seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await watched.wait_for(lambda state: state.is_ended)

    async def scenario() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(200):
                group.create_task(wait_in_vain(0.001 * (number % 5)))
            last = group.create_task(watched.wait_for(lambda state: state.is_ended))
            await asyncio.sleep(0.1)
            assert len(watched._waiters) == 1
            watched.set_state(RunState(status="completed"))
            assert (await last).status == "completed"
        assert watched._waiters == ()

    asyncio.run(scenario())


def test_places_of_moved_requests_are_dropped() -> None:
    source = ScriptedSource(FakeClock(), body("in_progress"))
    queue: BackgroundQueue[BackgroundRequest] = BackgroundQueue(1.0, 0.1)
    kept = BackgroundRequest(source, "kept")
    queue.add(kept, 5.0)
    for number in range(5000):
        request = BackgroundRequest(source, f"thread_{number}")
        queue.add(request, 3600.0)
        queue.remove(request)
    assert (len(queue), len(queue._heap) < 2000) == (1, True)
    assert queue.pop_due(6.0, 10.0) is kept
    assert not queue.is_due(4000.0)


def test_a_recheck_keeps_a_short_answer_only() -> None:
    recheck = UsageRecheck(ScriptedSource(FakeClock(), body("completed")), "run_1")
    recheck.keep(b"{}")
    assert recheck.body == b"{}"
    recheck.keep(b" " * 30_000)
    assert recheck.body is None
