"""What scheduling 100,000 active runs costs, on a simulated clock and transport.

The parts of the poller that decide when to ask, without asking: wheel, lines, limiter, shares.
"""

from __future__ import annotations

import gc
import tracemalloc
from random import Random
from time import process_time

from tests.benchmarks.report import machine, settle, table, write
from tracker.core.events import run_stream
from tracker.core.state import RunState
from tracker.polling import limiter
from tracker.polling.cadence import Cadence
from tracker.polling.gate import Gate
from tracker.polling.watched import Watched

RUNS, KINDS, TICK = 100_000, 12, 0.05
STALL_SECONDS = 10.0
MEAN_LIFE = 45.0
ENDED = RunState(status="completed")


class Scheduling:
    """A gate and its runs on a clock of its own, where others take the place of those that end."""

    def __init__(self, rate: float) -> None:
        self.chance = Random(1)
        self.gate = Gate(Cadence(), limiter.begin(rate, rate))
        self.now = 0.0
        self.asked = 0
        self.choosing = self.planning = 0.0
        self.runs = [self._run(number) for number in range(RUNS)]

    def start(self) -> None:
        """Has every run polled for the first time within a round."""
        for watched in self.runs:
            self.gate.joined(watched, self.now, self.chance.expovariate(1 / MEAN_LIFE))
        for watched in self.runs:
            self.gate.plan(watched, self.now, 0.0)
        for watched in self.runs:
            spread = RUNS / self.gate.limit.rate
            self.gate.wheel.add(watched, self.now + self.chance.uniform(0, spread))

    def tick(self) -> list[Watched]:
        """What a tick asks about, and what the answers make of it."""
        gate, now, chance = self.gate, self.now, self.chance
        began = process_time()
        for watched in gate.wheel.take(now):
            gate.lines.add(watched)
        asked = []
        while gate.lines and (found := gate.next(now)) is not None:
            asked.append(found)
        chosen = process_time()
        for watched in asked:
            gate.answered()
            if chance.random() < (now - watched.looked) / MEAN_LIFE:
                # It has ended, and another takes its place.
                gate.learn(watched, ENDED, now, None)
                gate.left(watched)
                gate.joined(watched, now, 0.0)
            else:
                gate.learn(watched, watched.state, now, None)
            pause = gate.plan(watched, now, 2 * chance.random() - 1)
            gate.wheel.add(watched, now + pause)
        self.choosing += chosen - began
        self.planning += process_time() - chosen
        self.asked += len(asked)
        self.now += TICK
        return asked

    def _run(self, number: int) -> Watched:
        kind = f"asst_{number % KINDS}"
        state = RunState(
            source="assistants", run_id=f"run_{number}", assistant_id=kind, status="in_progress"
        )
        source: object = self
        return Watched(
            source,  # type: ignore[arg-type]
            f"thread_{number}",
            state.run_id,
            run_stream("assistants", state.run_id),
            state,
        )


def measure(rate: float, seconds: float) -> list[str]:
    """The mean interval in seconds; microseconds a poll and the share of a core.

    Apart for whose turn it is, and for what an answer makes of the hazards and of the next turn.
    """
    scheduling = Scheduling(rate)
    scheduling.start()
    # Two rounds first, so that the runs are where the policy puts them.
    while scheduling.now < 2 * RUNS / rate:
        scheduling.tick()
    settle()
    scheduling.asked, scheduling.choosing, scheduling.planning = 0, 0.0, 0.0
    since = scheduling.now
    while scheduling.now < since + seconds:
        scheduling.tick()
    spent, asked = (scheduling.choosing, scheduling.planning), scheduling.asked
    shares = [f"{part / asked * 1e6:.1f} µs, {part / seconds:.1%}" for part in spent]
    return [f"{RUNS * seconds / asked:.1f}", *shares, f"{sum(spent) / seconds:.1%}"]


def bytes_a_run(rate: float) -> float:
    """What the scheduler keeps of a run: its place, its times and its share."""
    scheduling = Scheduling(rate)
    gc.collect()
    tracemalloc.start()
    scheduling.start()
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return grown / RUNS


def lost_in_a_stall(rate: float) -> tuple[int, float]:
    """How many runs are not polled again after a stall, and how late the last of the due was."""
    scheduling = Scheduling(rate)
    scheduling.start()
    while scheduling.now < 5.0:
        scheduling.tick()
    scheduling.now += STALL_SECONDS
    awake = scheduling.now
    due = {watched.stream for watched in scheduling.runs if watched.due <= awake}
    later, caught_up = {watched.stream for watched in scheduling.runs}, awake
    while later and scheduling.now < awake + 8 * RUNS / rate:
        moment = scheduling.now
        asked = {watched.stream for watched in scheduling.tick()}
        if due & asked:
            caught_up = moment
        due -= asked
        later -= asked
    return len(later), caught_up - awake


def main() -> None:
    """Measures at the rate of a mean interval of 10 s, and at what HTTP can do on a core."""
    rows = []
    for rate, seconds in ((10_000.0, 20.0), (1_000.0, 60.0)):
        measured = measure(rate, seconds)
        lost, late = lost_in_a_stall(rate)
        rows.append(
            (f"{rate:,.0f}", *measured, f"{bytes_a_run(rate):.0f}", f"{lost}", f"{late:.1f}")
        )
    header = ("requests a second", "mean interval, s", "whose turn", "when next", "of a core")
    title = f"{RUNS:,} runs. Aim: 3 % of a core, 400 bytes a run, none lost in a stall of 10 s"
    table(title, (*header, "bytes a run", "runs lost in a stall", "s to catch up"), rows)


if __name__ == "__main__":
    write(machine())
    main()
