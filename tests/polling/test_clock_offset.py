"""By how much a service's clock is ahead of ours is told by the stamps of its runs."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.poller_bench import Bench, ScriptedSource
from tests.support.run_builder import created, ended, rows_after, seen
from tests.support.true_source import TrueSource
from tracker.core import events as e
from tracker.core.state import RunState
from tracker.polling.clock_offset import ClockOffset
from tracker.polling.metrics import Counters

START = datetime(2026, 1, 1, tzinfo=UTC)


def change(at: float, before: float, after: float, ahead: float) -> e.RunStatusChanged:
    """Returns a start at a moment of our clock, between two looks, with the service's stamp."""
    stamp = int(START.timestamp() + at + ahead)
    return e.RunStatusChanged(
        observed_at=START + timedelta(seconds=at + after),
        not_before=START + timedelta(seconds=at - before),
        occurred_at=datetime.fromtimestamp(stamp, UTC),
        previous="queued",
        status="in_progress",
    )


_seconds = st.floats(0.001, 0.4)


@settings(deadline=None, max_examples=examples(100))
@given(
    st.lists(st.tuples(st.floats(0, 900), _seconds, _seconds), min_size=1, max_size=30),
    st.floats(-40, 40),
    st.floats(-40e-6, 40e-6),
)
def test_the_truth_is_inside_the_bounds(
    looks: list[tuple[float, float, float]], ahead: float, drift: float
) -> None:
    offset, now = ClockOffset(), 0.0
    for now, before, after in sorted(looks):
        true = ahead + drift * now
        offset.add([change(now, before, after, true)], now + after)
        bounds = offset.bounds(now + after)
        if bounds is not None:
            assert bounds[0] - 1e-3 <= true <= bounds[1] + 1e-3


def test_many_runs_narrow_the_bounds_which_widen_with_time() -> None:
    offset = ClockOffset()
    for number in range(300):
        at = number * 1.0371
        offset.add([change(at, 0.3, 0.1, 37.2)], at)
    least, most = offset.bounds(300 * 1.0371) or (0, 0)
    assert least <= 37.2 <= most
    assert most - least < 0.55
    wider = offset.bounds(1300.0)
    assert wider is not None
    assert wider[0] < least - 0.09
    assert offset.bounds(10_000.0) is None


def test_bounds_that_contradict_each_other_begin_again() -> None:
    offset = ClockOffset()
    for number in range(50):
        offset.add([change(number * 1.0371, 0.1, 0.1, 5.0)], number)
    offset.add([change(60.0, 0.1, 0.1, -3.0)], 60.0)
    for number in range(50):
        offset.add([change(61 + number * 1.0371, 0.1, 0.1, -3.0)], 61 + number)
    least, most = offset.bounds(111.0) or (0, 0)
    assert least <= -3.0 <= most
    offset.forget()
    assert offset.bounds(111.0) is None


def test_a_tracker_learns_the_offset_and_records_and_shows_it() -> None:
    async def scenario() -> None:
        bench = Bench()
        for number in range(12):
            start = 0.9 + number * 0.0371
            life = (("queued", 0.0), ("in_progress", start), ("completed", start + 2.53))
            service = TrueSource(bench.clock, life)
            bench.watch_list.watch(service, "thread_1", f"run_{number}")
            await bench.advance(4.1, 0.1)
        status = bench.status(service)
        least, most = status.clock_ahead_at_least, status.clock_ahead_at_most
        assert least is not None
        assert most is not None
        # The fake clock begins at a whole second, 0.4 s before that of the service.
        assert least <= 0.4 <= most < least + 1
        assert bench.watch_list.seconds_ahead("assistants") == (least + most) / 2
        events = [entry.event for entry in bench.store.read("assistants:run_11")]
        for event in (events[0], events[-1]):
            assert isinstance(event, e.RunCreated | e.RunEnded)
            assert event.ahead is not None
            assert event.ahead[0] <= 400_000 <= event.ahead[1]
        # Overdue is by the clock of the service.
        shown = bench.watch_list.service_time(service) - bench.clock.now()
        assert abs(shown.total_seconds() - (least + most) / 2) < 1e-5
        await bench.poller.close()

    asyncio.run(scenario())


def test_the_offset_of_a_source_narrows_the_phases_of_a_run() -> None:
    plain = (
        created(1, not_before=seen(0.5)),
        ended(e.RunCompleted, 9, stamp=7, since=4, previous="queued"),
    )
    told = (
        plain[0].model_copy(update={"ahead": (-1_000_000, -990_000)}),
        plain[1].model_copy(update={"ahead": (-1_000_000, -990_000)}),
    )
    (wide, _), (narrow, _) = rows_after(*plain), rows_after(*told)
    assert wide.total_at_least_seconds is not None
    assert narrow.total_at_least_seconds is not None
    assert narrow.total_at_least_seconds >= wide.total_at_least_seconds
    assert (narrow.total_at_most_seconds or 0) <= (wide.total_at_most_seconds or 0)


def test_an_offset_takes_few_bytes_of_an_event() -> None:
    event = created(1, ahead=(-37_200_000, -37_100_000))
    more = len(json.dumps(event.model_dump(mode="json")["ahead"]))
    assert more <= 28


@pytest.mark.parametrize("ahead", [0.0, -30.0])
def test_a_detection_delay_is_by_one_clock(ahead: float) -> None:
    counters = Counters(lambda: None)
    counters.seconds_ahead = lambda name: ahead
    event = change(10.0, 0.5, 0.5, ahead)
    counters.on_appended(RunState("assistants"), [event])
    bench = Bench()
    status = counters.add_counts("assistants", bench.status(ScriptedSource(bench.clock, {})))
    assert 0.5 <= (status.detection_seconds or 0) <= 1.5
