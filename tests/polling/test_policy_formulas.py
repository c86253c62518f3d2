"""Batched and precomputed values of the policy: equal to its plain formulas."""

import math
from random import Random
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.core.state import RunState
from tracker.polling.dispatcher import SourceDispatcher
from tracker.polling.policy import rate_limiter
from tracker.polling.policy.cadence import Cadence
from tracker.polling.policy.hazards import BINS, EDGES, Counts, model_hazards, pooled_hazards
from tracker.polling.queues.fair_queue import FairQueue
from tracker.polling.request_limiter import RequestLimiter
from tracker.polling.watched_run import WatchedRun

ENDS = (*EDGES[1:], math.inf)


def make_run(number: int, thread: int, state: RunState | None = None) -> WatchedRun:
    watched = WatchedRun(cast("Any", None), f"t_{thread}", f"r_{number}", f"a:r_{number}")
    watched.state = state or watched.state
    return watched


class PlainPolicy:
    """The policy for one kind of runs that work, formula by formula and bin by bin."""

    def __init__(self) -> None:
        self.events, self.exposure = [0.0] * BINS, [0.0] * BINS
        self.refreshed_at, self.shares = 0.0, self.refresh()

    def refresh(self) -> list[float]:
        plain = Counts()
        plain.events, plain._parts = list(self.events), list(self.exposure)
        # The only kind there is: the pool has what it has.
        return [math.sqrt(hazard) for hazard in model_hazards(plain, pooled_hazards(plain))]

    def add_exposure(self, since: float, until: float) -> None:
        for number, (start, end) in enumerate(zip(EDGES, ENDS, strict=True)):
            self.exposure[number] += max(min(until, end) - max(since, start), 0.0)

    def add_change(self, age: float) -> None:
        self.events[sum(edge <= age for edge in EDGES) - 1] += 1.0

    def share(self, age: float) -> float:
        return self.shares[sum(edge <= age for edge in EDGES) - 1]

    def pause(self, age: float, total: float, runs: int, rate: float, jitter: float) -> float:
        left, wanted = max(total / (0.95 * rate), Cadence().step), age
        for share, start, end in zip(self.shares, EDGES, ENDS, strict=True):
            part = max(min(left, share * (end - max(wanted, start))), 0.0) if end > wanted else 0.0
            wanted, left = wanted + part / share, left - part
        longest = max(30.0, 6 * runs / rate)
        return min(max((wanted - age) * (1 + 0.05 * jitter), 0.1), longest)


@pytest.mark.parametrize(("rate", "runs"), [(2.0, 60), (50.0, 40), (1000.0, 5)])
def test_the_waits_of_random_lives_are_those_of_the_plain_formulas(rate: float, runs: int) -> None:
    chance, plain, now = Random(1), PlainPolicy(), 0.0
    dispatcher = SourceDispatcher(Cadence(), RequestLimiter(rate_limiter.initial(rate, rate)))
    state = RunState(assistant_id="asst", status="in_progress")
    shares: dict[WatchedRun, float] = {}
    for number in range(runs):
        watched = make_run(number, number, state)
        dispatcher.add(watched, now, chance.uniform(0, 90))
        dispatcher.timer.add(watched, now + chance.uniform(0, 5))
        shares[watched] = 0.0
    polls = 0
    while polls < 3000:
        dispatcher.enqueue_due(now)
        for watched, _ in dispatcher.next_polls(now, most=1_000):
            # Its curve is refreshed_at for the first time when it is first met.
            plain.refreshed_at = plain.refreshed_at if polls else now
            polls += 1
            ends = chance.random() < (now - watched.polled_at) / 40
            at = (watched.polled_at + now) / 2 if ends else now
            began = watched.phase_started
            plain.add_exposure(watched.polled_at - began, at - began)
            dispatcher.record_exposure(
                watched, state._replace(status="failed") if ends else state, now, None
            )
            if ends:
                plain.add_change(at - began)
                dispatcher.remove(watched)
                dispatcher.add(watched, now, 0.0)
            if now - plain.refreshed_at > 5.0:
                plain.refreshed_at, plain.shares = now, plain.refresh()
            shares[watched] = plain.share(now - watched.phase_started)
            jitter = chance.uniform(-1, 1)
            pause = dispatcher.next_delay(watched, now, jitter)
            total = sum(shares.values())
            expected = plain.pause(now - watched.phase_started, total, runs, rate, jitter)
            assert pause == pytest.approx(expected, rel=1e-6)
            dispatcher.timer.add(watched, now + pause)
        now += 0.05


@given(st.floats(-5, 5), st.floats(0.5, 5_000), st.floats(0, 1e5), st.sampled_from([0.0, 0.1, 1.0]))
def test_as_many_may_go_at_once_as_one_after_another(
    ahead: float, rate: float, now: float, filled: float
) -> None:
    at_once = rate_limiter.burst(rate)
    arrival = now + min(ahead, filled * at_once / rate)
    first, going = arrival, 0
    while rate_limiter.delay(arrival, now, rate, at_once) <= 0:
        arrival, going = rate_limiter.consume(arrival, now, rate), going + 1
    # At the very edge it is rounding that decides.
    assert rate_limiter.allowance(first, now, rate, at_once - 1e-4) <= going
    assert going <= rate_limiter.allowance(first, now, rate, at_once + 1e-4)
    assert rate_limiter.consume(first, now, rate, going) == pytest.approx(
        arrival if going else max(first, now)
    )


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e4)), max_size=40))
def test_exposure_that_is_counted_at_its_ends_is_that_of_each_bin(
    seen: list[tuple[float, float]],
) -> None:
    counts, pool, merged, plain = Counts(), Counts(), Counts(), PlainPolicy()
    for since, lasted in seen:
        counts.add_exposure(since, since + lasted)
        counts.merge_into(pool, merged)
        plain.add_exposure(since, since + lasted)
    assert counts.exposure == pytest.approx(plain.exposure, rel=1e-9, abs=1e-6)
    assert pool.exposure == pytest.approx(plain.exposure, rel=1e-9, abs=1e-6)


class PlainQueue:
    """Of the threads that may go on, or else of all, the run that has been due the longest."""

    def __init__(self) -> None:
        self.runs: list[WatchedRun] = []
        self.paid: dict[str | None, float] = {}

    def pop(self, now: float, rate: float) -> WatchedRun | None:
        def may(watched: WatchedRun) -> bool:
            return self.paid.get(watched.thread_id, now) - now <= 4 / rate

        found = min([*filter(may, self.runs)] or self.runs, key=lambda each: each.due, default=None)
        if found is not None:
            self.runs.remove(found)
            self.paid[found.thread_id] = max(self.paid.get(found.thread_id, now), now) + 4 / rate
        if not self.runs:
            self.paid.clear()
        return found


@given(
    st.lists(
        st.tuples(
            st.integers(0, 6),
            st.integers(0, 12),
            st.lists(st.tuples(st.booleans(), st.integers(0, 3))),
        ),
        max_size=30,
    )
)
def test_lines_give_out_runs_in_the_order_of_the_plain_rule(
    ticks: list[tuple[int, int, list[tuple[bool, int]]]],
) -> None:
    queue, plain, number, now, rate = FairQueue(), PlainQueue(), 0, 0.0, 8.0
    for most, pause, comers in ticks:
        now += pause / 8
        for is_late, thread in comers:
            watched = make_run(number, thread)
            # No two are due at once, and some come back with an old place.
            watched.due = (now - 3 if is_late else now) + number * 1e-6
            queue.add(watched)
            plain.runs.append(watched)
            number += 1
        everybody = len(plain.runs) <= most
        expected = [plain.pop(now, rate) for _ in range(min(most, len(plain.runs)))]
        taken = list(queue.pop(now, rate, most))
        # Where nobody has to wait, the order is that of the wheel.
        assert set(taken) == set(expected) if everybody else taken == expected
        assert queue.run_count == len(plain.runs)
