"""Dispatching of polls: the rate is spent, on the runs that are likely to change."""

import itertools
from collections import Counter
from random import Random
from typing import Any, cast

import pytest

from tests.support.poller_bench import Bench, Scripted, run
from tracker.core.state import RunState
from tracker.errors import Unreachable
from tracker.polling.dispatcher import SourceDispatcher
from tracker.polling.policy import rate_limiter
from tracker.polling.policy.cadence import Cadence
from tracker.polling.watched_run import WatchedRun


class Polled:
    """Runs of two kinds, which live as long as `lives` says, and the gate that paces them."""

    def __init__(self, rate: float, runs: int, lives: dict[str, float]) -> None:
        self.gate = SourceDispatcher(Cadence(), rate_limiter.begin(rate, rate))
        self.lives, self.chance, self.now = lives, Random(1), 0.0
        self.ends: dict[str, float] = {}
        self.delays: list[float] = []
        self.asked: Counter[str] = Counter()
        self.runs = [self.begin(f"asst_{number % len(lives)}") for number in range(runs)]

    def begin(self, kind: str) -> WatchedRun:
        number = len(self.ends)
        state = RunState(assistant_id=kind, status="in_progress")
        watched = WatchedRun(
            cast("Any", None), f"t_{number}", f"r_{number}", f"a:r_{number}", state
        )
        # All of a kind take about as long, so that there is something to learn.
        self.ends[watched.run_id] = self.now + self.lives[kind] * self.chance.uniform(0.9, 1.1)
        self.gate.joined(watched, self.now, 0.5)
        self.gate.wheel.add(watched, self.now)
        return watched

    def until(self, end: float) -> None:
        while self.now < end:
            self.gate.turn(self.now)
            for watched, _ in self.gate.turns(self.now, most=1_000):
                self.look(watched)
            self.now += 0.05

    def look(self, watched: WatchedRun) -> None:
        kind = str(watched.state.assistant_id)
        self.asked[kind] += 1
        if self.ends[watched.run_id] <= self.now:
            self.delays.append(self.now - self.ends[watched.run_id])
            self.gate.learn(watched, watched.state._replace(status="completed"), self.now, None)
            self.gate.left(watched)
            self.runs.remove(watched)
            self.runs.append(self.begin(kind))
            return
        self.gate.learn(watched, watched.state, self.now, None)
        pause = self.gate.plan(watched, self.now, self.chance.uniform(-1, 1))
        self.gate.wheel.add(watched, self.now + pause)


def test_the_budget_is_spent_and_the_total_is_the_sum_of_the_shares() -> None:
    polled = Polled(5.0, 60, {"asst_0": 40.0})
    polled.until(200.0)
    before = sum(polled.asked.values())
    polled.until(400.0)
    spent = sum(polled.asked.values()) - before
    assert 0.85 * 5 * 200 <= spent <= 5 * 200 + 2
    assert polled.gate.total == pytest.approx(sum(each.share for each in polled.runs))
    assert polled.gate.runs == 60


def test_what_was_learned_halves_the_delay_of_a_fixed_interval() -> None:
    polled = Polled(4.0, 40, {"asst_0": 30.0, "asst_1": 120.0})
    polled.until(600.0)
    polled.delays.clear()
    polled.until(1200.0)
    mean = sum(polled.delays) / len(polled.delays)
    # The same budget at a fixed interval: 40 runs at 4 a second are 10 s, 5 s late on average.
    assert mean < 2.5


def test_a_service_that_is_down_is_probed_and_no_more() -> None:
    async def scenario(bench: Bench) -> None:
        service = Scripted(bench.clock, Unreachable("down"))
        for number in range(50):
            bench.poller.watch(service, "thread_1", f"run_{number}")
        await bench.after(300, step=0.1)
        later = [moment for moment in service.asked if moment > 100]
        pauses = [b - a for a, b in itertools.pairwise(later)]
        assert pauses
        assert min(pauses) >= 15.0
        assert max(pauses) <= 61.0
        assert len(bench.poller.watched) == 50

    run(scenario)
