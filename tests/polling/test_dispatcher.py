"""Dispatching of polls: the rate is spent, on the runs that are likely to change."""

import itertools
from collections import Counter
from random import Random
from typing import Any, cast

import pytest

from tests.support.poller_bench import Bench, ScriptedSource, run
from tracker.core.state import RunState
from tracker.errors import Unreachable
from tracker.polling.dispatcher import SourceDispatcher
from tracker.polling.policy import rate_limiter
from tracker.polling.policy.cadence import Cadence
from tracker.polling.request_limiter import RequestLimiter
from tracker.polling.watched_run import WatchedRun


class DispatcherBench:
    """Runs of two kinds, which live as long as `lives` says, and the dispatcher that paces them."""

    def __init__(self, rate: float, runs: int, lives: dict[str, float]) -> None:
        self.dispatcher = SourceDispatcher(
            Cadence(), RequestLimiter(rate_limiter.initial(rate, rate))
        )
        self.lives, self.chance, self.now = lives, Random(1), 0.0
        self.ends: dict[str, float] = {}
        self.delays: list[float] = []
        self.asked: Counter[str] = Counter()
        self.runs = [self.add_run(f"asst_{number % len(lives)}") for number in range(runs)]

    def add_run(self, kind: str) -> WatchedRun:
        number = len(self.ends)
        state = RunState(assistant_id=kind, status="in_progress")
        watched = WatchedRun(
            cast("Any", None), f"t_{number}", f"r_{number}", f"a:r_{number}", state
        )
        # All of a kind take about as long, so that there is something to learn.
        self.ends[watched.run_id] = self.now + self.lives[kind] * self.chance.uniform(0.9, 1.1)
        self.dispatcher.add(watched, self.now, 0.5)
        self.dispatcher.timer.add(watched, self.now)
        return watched

    def run_until(self, end: float) -> None:
        while self.now < end:
            self.dispatcher.enqueue_due(self.now)
            for watched, _ in self.dispatcher.next_polls(self.now, most=1_000):
                self.poll(watched)
            self.now += 0.05

    def poll(self, watched: WatchedRun) -> None:
        kind = str(watched.state.assistant_id)
        self.asked[kind] += 1
        if self.ends[watched.run_id] <= self.now:
            self.delays.append(self.now - self.ends[watched.run_id])
            self.dispatcher.record_exposure(
                watched, watched.state._replace(status="completed"), self.now, None
            )
            self.dispatcher.remove(watched)
            self.runs.remove(watched)
            self.runs.append(self.add_run(kind))
            return
        self.dispatcher.record_exposure(watched, watched.state, self.now, None)
        pause = self.dispatcher.next_delay(watched, self.now, self.chance.uniform(-1, 1))
        self.dispatcher.timer.add(watched, self.now + pause)


def test_the_budget_is_spent_and_the_total_is_the_sum_of_the_shares() -> None:
    bench = DispatcherBench(5.0, 60, {"asst_0": 40.0})
    bench.run_until(200.0)
    before = sum(bench.asked.values())
    bench.run_until(400.0)
    spent = sum(bench.asked.values()) - before
    assert 0.85 * 5 * 200 <= spent <= 5 * 200 + 2
    assert bench.dispatcher.total_share == pytest.approx(sum(each.share for each in bench.runs))
    assert bench.dispatcher.run_count == 60


@pytest.mark.parametrize("rate", [7.0, 12.0, 17.0, 23.0])
def test_what_is_sent_early_uses_the_whole_rate_whatever_the_length_of_a_tick(rate: float) -> None:
    dispatcher = SourceDispatcher(Cadence(), RequestLimiter(rate_limiter.initial(rate, rate)))
    state = RunState(assistant_id="asst_1", status="in_progress")
    for number in range(2_000):
        watched = WatchedRun(cast("Any", None), f"t_{number}", "r", f"a:{number}", state)
        dispatcher.add(watched, 0.0, 0.0)
        watched.share = 1.0
        # None is due for minutes.
        dispatcher.timer.add(watched, 300.0 + number / 100)
    dispatcher.total_share = 2_000.0
    sent, now = 0, 1.0
    while now < 61.0:
        dispatcher.enqueue_due(now)
        dispatcher.enqueue_early(now)
        sent += len(dispatcher.next_polls(now, most=100))
        now += 0.05
    assert 0.97 * 60 * rate <= sent <= 60 * rate + 3


def test_what_was_learned_halves_the_delay_of_a_fixed_interval() -> None:
    bench = DispatcherBench(4.0, 40, {"asst_0": 30.0, "asst_1": 120.0})
    bench.run_until(600.0)
    bench.delays.clear()
    bench.run_until(1200.0)
    mean = sum(bench.delays) / len(bench.delays)
    # The same budget at a fixed interval: 40 runs at 4 a second are 10 s, 5 s late on average.
    assert mean < 2.5


def test_a_service_that_is_down_is_probed_and_no_more() -> None:
    async def scenario(bench: Bench) -> None:
        service = ScriptedSource(bench.clock, Unreachable("down"))
        for number in range(50):
            bench.watch_list.watch(service, "thread_1", f"run_{number}")
        await bench.advance(300, step=0.1)
        later = [moment for moment in service.asked if moment > 100]
        pauses = [b - a for a, b in itertools.pairwise(later)]
        assert pauses
        assert min(pauses) >= 15.0
        assert max(pauses) <= 61.0
        assert len(bench.watch_list.runs) == 50

    run(scenario)


def test_a_probe_after_a_refusal_is_about_another_thread() -> None:
    dispatcher = SourceDispatcher(Cadence(), RequestLimiter(rate_limiter.initial(5.0, 5.0)))
    state = RunState(assistant_id="asst_1", status="in_progress")
    # Three runs of one thread are due first.
    runs = [
        WatchedRun(cast("Any", None), thread, f"r_{number}", f"a:r_{number}", state)
        for number, thread in enumerate(["t_0", "t_0", "t_0", "t_1"])
    ]
    for number, watched in enumerate(runs):
        dispatcher.add(watched, 0.0, 0.0)
        dispatcher.timer.add(watched, 0.01 * number)
    dispatcher.enqueue_due(0.5)
    [(first, _)] = dispatcher.next_polls(0.5, most=1)
    assert first is runs[0]
    dispatcher.limiter.on_refusal(first.subject, 0.6, 1.0)
    assert dispatcher.next_polls(1.0, most=10) == []
    [(probe, _)] = dispatcher.next_polls(3.0, most=10)
    assert probe is runs[3]
    dispatcher.limiter.on_answer(probe.subject, 3.1)
    # The others have kept their places.
    assert [watched for watched, _ in dispatcher.next_polls(5.0, most=1)] == [runs[1]]


def test_requests_that_were_refused_together_are_one_try() -> None:
    limiter = RequestLimiter(rate_limiter.initial(50.0, None))
    for number in range(7):
        limiter.on_refusal(f"t_{number}", 1.0, 1.0)
    assert limiter.refused_tries == 1
    limiter.count(5.0)
    limiter.on_refusal("t_8", 5.1, 1.0)
    assert limiter.refused_tries == 2
    limiter.count(9.0)
    limiter.on_answer("t_9", 9.1)
    assert limiter.refused_tries == 0
