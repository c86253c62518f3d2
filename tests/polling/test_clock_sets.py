"""A clock that is set while runs are polled is noticed, and makes no bound false."""

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from tests.support.poller_bench import Bench
from tests.support.run_builder import rows_after
from tests.support.true_source import Life, TrueSource
from tracker.core import events as e

LIFE: Life = (
    *(("queued", 0.0), ("in_progress", 3.43), ("requires_action", 9.71)),
    *(("queued", 15.27), ("in_progress", 16.91), ("completed", 30.35)),
)
_KINDS = {"queued": "queued", "requires_action": "action"}


def true_seconds(life: Life) -> dict[str, float]:
    sums = dict.fromkeys(("queued", "running", "action"), 0.0)
    for (status, at), (_, until) in pairwise(life):
        sums[_KINDS.get(status, "running")] += until - at
    return {**sums, "total": sum(sums.values())}


def poll(step: float, at: float, *, during: bool, with_stamps: bool) -> list[e.Event]:
    """Returns the events of a life, during which the clock was set by `step` seconds at `at`."""

    async def scenario() -> list[e.Event]:
        bench = Bench()
        service = TrueSource(bench.clock, LIFE, with_stamps=with_stamps)
        is_set = False

        def set_clock() -> None:
            nonlocal is_set
            if not is_set and bench.clock.monotonic() - service.born >= at:
                is_set = True
                bench.clock.set_wall(timedelta(seconds=step))

        if during:
            service.during = set_clock
        bench.watch_list.watch(service, "thread_1", "run_1")
        while bench.clock.monotonic() - service.born < 40:
            await bench.advance(0.5, 0.1)
            if not during:
                set_clock()
        await bench.poller.close()
        assert is_set
        return [entry.event for entry in bench.store.read("assistants:run_1")]

    return asyncio.run(scenario())


def find_false(events: list[e.Event]) -> list[str]:
    """Returns the durations of a run that are false beyond their bounds."""
    row, phases = rows_after(*events)
    assert row.outcome == "completed"
    found = []
    for kind, seconds in true_seconds(LIFE).items():
        least, most = (getattr(row, f"{kind}_at_{it}_seconds") for it in ("least", "most"))
        if least is not None and not least - 1e-6 <= seconds <= (most or seconds) + 1e-6:
            found.append(f"{kind} {seconds}: {least} to {most}")
    known = [it.seconds for it in phases]
    if None not in known:
        assert abs(sum(known) - (row.total_seconds or 0)) < 1e-6
    for phase, following in pairwise(phases):
        assert phase.entered_at <= phase.left_at == following.entered_at
    return found


@pytest.mark.parametrize("with_stamps", [True, False])
@pytest.mark.parametrize("during", [False, True])
@pytest.mark.parametrize("step", [-3600.0, -60.0, -2.0, 60.0, 3600.0])
def test_no_time_is_false_beyond_its_bounds(step: float, during: bool, with_stamps: bool) -> None:
    for at in (1.0, 3.4, 6.0, 9.6, 12.0, 16.0, 20.0, 30.0):
        events = poll(step, at, during=during, with_stamps=with_stamps)
        assert find_false(events) == [], at
        is_told = any(isinstance(it, e.Look) and it.clock_was_set for it in events)
        assert is_told, at


def test_the_change_after_a_clock_was_set_says_so_and_has_no_floor_by_the_old_one() -> None:
    events = poll(3600.0, 6.0, during=False, with_stamps=True)
    told = [type(it).__name__ for it in events if isinstance(it, e.Look) and it.clock_was_set]
    assert told == ["RunActionRequired"]
    waiting = next(it for it in events if isinstance(it, e.RunActionRequired))
    # The looks since then bound it.
    assert waiting.not_before is not None
    assert waiting.observed_at - waiting.not_before < timedelta(seconds=5)


def test_a_clock_that_nobody_sets_is_not_said_to_be_set() -> None:
    events = poll(0.04, 6.0, during=False, with_stamps=True)
    assert not any(isinstance(it, e.Look) and it.clock_was_set for it in events)
    assert find_false(events) == []
