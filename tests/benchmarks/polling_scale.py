"""Cost of scheduling 100,000 active runs, on a simulated clock and transport.

The poller's own dispatcher decides when to poll and what an answer changes about that, without a
request, a record or a task: timer wheel, queue, rate limiter, hazards, shares. Beside it the watch
list that the poller uses, which keeps runs by their streams and takes their expiry into account.
Each run is alone in a thread that its source could list.
"""

from __future__ import annotations

import gc
import math
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from time import process_time
from typing import Any, cast

from tests.benchmarks.report import machine, middle, settle, spread, table, write
from tracker.core.events import run_stream
from tracker.core.state import RunState
from tracker.polling.policy.cadence import Cadence
from tracker.polling.watch_list import WatchList
from tracker.polling.watched_run import WatchedRun
from tracker.sources.source import Source

KINDS, TICK, ROUNDS = 12, 0.05, 5
STALL_SECONDS = 10.0
MEAN_LIFE, EXPIRES_AFTER = 45.0, timedelta(seconds=600)
BIRTH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Settings:
    """Runs, and rates in requests a second, each with the simulated seconds that are measured."""

    runs: int = 100_000
    rates: Sequence[tuple[float, float]] = ((10_000.0, 20.0), (1_000.0, 60.0))


FULL = Settings()
TINY = Settings(runs=500, rates=((100.0, 5.0),))


class Listing:
    """A source that could list the runs of a thread, and is never asked."""

    name = "assistants"

    async def fetch_page(self, thread_id: str, limit: int) -> Any:
        raise AssertionError("it was asked")


class Moment:
    """A clock that costs next to nothing to read."""

    def __init__(self) -> None:
        self.elapsed, self.time = 0.0, BIRTH

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("it was waited for")

    def advance(self, seconds: float) -> None:
        self.elapsed += seconds
        self.time += timedelta(seconds=seconds)


class Scheduling:
    """A watch list with a clock of its own, where a run that ends is replaced by another.

    `choosing`, `answering` and `planning` are seconds of this process: for whose turn it is, for
    the simulated answers, and for what these make of the next turn.
    """

    def __init__(self, runs: int, rate: float, mean_life: float = MEAN_LIFE) -> None:
        self.chance, self.clock, self.mean_life = Random(1), Moment(), mean_life
        self.watch_list = WatchList(self.clock, Cadence(start=rate), rate, self.chance.random)
        self.source = cast("Source", Listing())
        self.dispatcher = self.watch_list.dispatcher(self.source)
        self.asked = 0
        self.choosing = self.answering = self.planning = 0.0
        self.apply: Callable[[WatchedRun, RunState], None] = self.by_dispatcher
        self.runs: list[WatchedRun] = []
        self.records = [self._record(number) for number in range(runs)]

    def start(self) -> None:
        """Has every run polled for the first time within a round."""
        self.runs = [WatchedRun(self.source, *record) for record in self.records]
        for watched in self.runs:
            self.watch_list.add(
                watched, self.chance.uniform(0, len(self.runs) / self.dispatcher.limiter.rate)
            )

    def until(self, moment: float) -> None:
        """Ticks until then."""
        while self.clock.elapsed < moment:
            self.tick()

    def tick(self) -> list[WatchedRun]:
        """What a tick asks about, as the poller's does, and what the answers make of it."""
        now, times = self.clock.elapsed, [process_time()]
        self.dispatcher.enqueue_due(now)
        polls = self.dispatcher.next_polls(now, len(self.runs))
        times.append(process_time())
        answers = [(watched, self._answer(watched, now)) for watched, _ in polls]
        times.append(process_time())
        for watched, state in answers:
            self.apply(watched, state)
        times.append(process_time())
        self.choosing += times[1] - times[0]
        self.answering += times[2] - times[1]
        self.planning += times[3] - times[2]
        self.asked += len(answers)
        self.clock.advance(TICK)
        return [watched for watched, _ in answers]

    def by_dispatcher(self, watched: WatchedRun, state: RunState) -> None:
        """Takes in an answer, and puts the run into the wheel, or another in its place."""
        dispatcher, now = self.dispatcher, self.clock.elapsed
        dispatcher.limiter.on_success()
        if state.is_ended:
            dispatcher.record_exposure(watched, state, now, None)
            dispatcher.remove(watched)
            dispatcher.add(watched, now, 0.0)
        else:
            dispatcher.record_exposure(watched, state, now, None)
        pause = dispatcher.next_delay(watched, now, 2 * self.chance.random() - 1)
        dispatcher.timer.add(watched, now + pause)

    def by_watch_list(self, watched: WatchedRun, state: RunState) -> None:
        """The same, as the poller does it."""
        self.dispatcher.limiter.on_success()
        known = watched.state
        self.watch_list.apply_state(watched, state)
        if state.is_ended:
            watched.set_state(known)
            self.watch_list.add(watched, 0.0)
        self.watch_list.schedule_next(watched)

    def _answer(self, watched: WatchedRun, now: float) -> RunState:
        if self.chance.random() < (now - watched.polled_at) / self.mean_life:
            return watched.state._replace(status="completed")
        return watched.state

    def _record(self, number: int) -> tuple[str, str, str, RunState]:
        lived = self.chance.expovariate(1 / MEAN_LIFE)
        state = RunState(
            source="assistants",
            run_id=f"run_{number}",
            thread_id=f"thread_{number}",
            assistant_id=f"asst_{number % KINDS}",
            status="in_progress",
            created_at=BIRTH - timedelta(seconds=lived),
            # Whoever takes the place of one that ended has its state, and must not be overdue.
            expires_at=BIRTH + 10 * EXPIRES_AFTER,
        )
        return f"thread_{number}", state.run_id, run_stream("assistants", state.run_id), state


def measure(runs: int, rate: float, seconds: float) -> list[str]:
    """Returns the mean interval, microseconds a poll, the share of a core, and the spread.

    Rounds by the dispatcher and by the watch list alternate on the same runs.
    """
    scheduling = Scheduling(runs, rate)
    scheduling.start()
    # Two rounds first, so that the runs are where the policy puts them.
    scheduling.until(2 * runs / rate)
    settle()
    ways = {"dispatcher": scheduling.by_dispatcher, "watch list": scheduling.by_watch_list}
    spent: dict[str, list[list[float]]] = {name: [] for name in ways}
    asked = 0
    for _ in range(ROUNDS):
        for name, way in ways.items():
            scheduling.apply, scheduling.asked = way, 0
            scheduling.choosing = scheduling.planning = 0.0
            scheduling.until(scheduling.clock.elapsed + seconds / ROUNDS)
            spent[name].append([scheduling.choosing, scheduling.planning, scheduling.asked])
            asked += scheduling.asked
    each = {
        name: [[a / n, b / n, (a + b) / n] for a, b, n in rounds] for name, rounds in spent.items()
    }
    turn, following, both = (middle(part) for part in zip(*each["dispatcher"], strict=True))
    by_watch_list = middle([both for _, _, both in each["watch list"]])
    a_second = asked / 2 / seconds
    return [
        f"{runs / a_second:.1f}",
        f"{turn * 1e6:.1f} µs",
        f"{following * 1e6:.1f} µs",
        f"{both * a_second:.1%}",
        spread([both for _, _, both in each["dispatcher"]]),
        f"{by_watch_list * 1e6:.1f} µs, {by_watch_list * a_second:.1%}",
    ]


def bytes_a_run(runs: int, rate: float) -> float:
    """What is kept of a run to schedule it, after a round: all but its ids and its state."""
    scheduling = Scheduling(runs, rate, mean_life=math.inf)
    gc.collect()
    tracemalloc.start()
    scheduling.start()
    scheduling.until(1.5 * runs / rate)
    gc.collect()
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return grown / runs


def lost_in_a_stall(runs: int, rate: float) -> tuple[int, float]:
    """How many runs are not polled again after a stall, and how late the last of the due was."""
    scheduling = Scheduling(runs, rate)
    scheduling.start()
    scheduling.until(5.0)
    scheduling.clock.advance(STALL_SECONDS)
    awake = scheduling.clock.elapsed
    due = {watched.stream for watched in scheduling.runs if watched.due <= awake}
    later, caught_up = {watched.stream for watched in scheduling.runs}, awake
    while later and scheduling.clock.elapsed < awake + 8 * runs / rate:
        moment = scheduling.clock.elapsed
        asked = {watched.stream for watched in scheduling.tick()}
        if due & asked:
            caught_up = moment
        due -= asked
        later -= asked
    return len(later), caught_up - awake


def an_empty_call() -> float:
    """Nanoseconds of a call of a function that does nothing, the floor of all this."""

    def nothing() -> None:
        pass

    rounds = []
    for _ in range(ROUNDS):
        began = process_time()
        for _ in range(200_000):
            nothing()
        rounds.append((process_time() - began) / 200_000)
    return middle(rounds) * 1e9


def main(settings: Settings = FULL) -> None:
    """Measures at the rate of a mean interval of 10 s, and at what HTTP can do on a core."""
    runs, rows = settings.runs, []
    for rate, seconds in settings.rates:
        measured = measure(runs, rate, seconds)
        lost, late = lost_in_a_stall(runs, rate)
        rows.append(
            (f"{rate:,.0f}", *measured, f"{bytes_a_run(runs, rate):.0f}", f"{lost}", f"{late:.1f}")
        )
    header = ("requests a second", "mean interval, s", "whose turn", "when next", "of a core")
    more = (
        "rounds",
        "through the watch list",
        "bytes a run",
        "runs lost in a stall",
        "s to catch up",
    )
    title = f"{runs:,} runs. Aim: 3 % of a core, 400 bytes a run, none lost in a stall of 10 s"
    table(title, (*header, *more), rows)
    write(f"\nAn empty function call took {an_empty_call():.0f} ns.")


if __name__ == "__main__":
    write(machine())
    main()
