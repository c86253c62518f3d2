"""Trackers whose clocks differ, or whose clock is set, record what a right clock would have."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from tests.support.poller_bench import Bench, ScriptedSource, body
from tracker.core import events as e

CALLS = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
WAITING = body(
    "requires_action",
    started_at=1_767_225_601,
    required_action={"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": CALLS}},
)
# The run continues under its old start, waits again, and ends.
LIFE = (
    body("in_progress", started_at=1_767_225_601),
    WAITING,
    body("queued", started_at=1_767_225_601),
    body("in_progress", started_at=1_767_225_609),
    body("completed", started_at=1_767_225_609, completed_at=1_767_225_620),
)
STORY = [
    "RunCreated",
    "RunStatusChanged",
    "RunActionRequired",
    "RunStatusChanged",
    "RunStatusChanged",
    "RunCompleted",
]


async def story(benches: Sequence[Bench], shifts: Sequence[timedelta]) -> list[str]:
    """Polls a run by several trackers in turn, each with its own clock, and returns its events."""
    first = benches[0]
    services = [ScriptedSource(bench.clock, LIFE[0]) for bench in benches]
    for bench, service, shift in zip(benches, services, shifts, strict=True):
        bench.clock.set_wall(shift)
        bench.watch_list.watch(service, "thread_1", "run_1")
    for place, shown in enumerate(LIFE):
        turn = place % len(benches)
        for bench, service in zip(benches, services, strict=True):
            service.replies = [shown]
            if bench is benches[turn]:
                await bench.advance(12)
            else:
                bench.clock.advance(12)
        # The others follow the events, as the coordinator does.
        page = first.store.read("assistants:run_1")
        for bench in benches:
            bench.repository.invalidate(page)
            bench.updates.on_state("assistants:run_1", bench.repository.state("assistants:run_1"))
    return [type(entry.event).__name__ for entry in first.store.read("assistants:run_1")]


@pytest.mark.parametrize("seconds", [-3600, -60, 0, 60, 3600])
def test_two_trackers_with_clocks_apart_tell_one_story(seconds: int) -> None:
    async def scenario() -> None:
        first = Bench()
        benches = [first, Bench(store=first.store)]
        told = await story(benches, [timedelta(), timedelta(seconds=seconds)])
        assert told == STORY
        for bench in benches:
            await bench.poller.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("seconds", [-3600, -60, 60, 3600])
def test_a_clock_that_is_set_changes_nothing(seconds: int) -> None:
    async def scenario() -> None:
        bench = Bench()
        service = ScriptedSource(bench.clock, LIFE[0])
        bench.watch_list.watch(service, "thread_1", "run_1")
        for place, shown in enumerate(LIFE):
            service.replies = [shown]
            await bench.advance(12)
            if place == 1:
                bench.clock.set_wall(timedelta(seconds=seconds))
        events = [entry.event for entry in bench.store.read("assistants:run_1")]
        assert [type(event).__name__ for event in events] == STORY
        assert [event.observed_at for event in events] == sorted(it.observed_at for it in events)
        assert not any(isinstance(event, e.RunAnomalyObserved) for event in events)
        await bench.poller.close()

    asyncio.run(scenario())
