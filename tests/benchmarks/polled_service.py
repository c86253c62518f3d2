"""A simulated service in a process of its own, with runs that come and go as `polling.md` says."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from random import Random

from tracker.core.status import is_ended
from tracker.simulator import Simulator

HISTORY_SECONDS, MEAN_LIFE = 600.0, 45.0
ASSISTANTS = tuple(f"asst_{number}" for number in range(12))


@dataclass(frozen=True)
class Traffic:
    """How much is asked for, and what is let through.

    `active` runs at a time on average, `a_thread` of them on one thread. `per_minute` None is no
    limit; `burst` requests at once. `latency` is in seconds,
    as is `warm`, the time before measuring. `after` is how long it serves on, without new runs,
    once it was measured, so that what is read later can be.
    """

    active: int
    per_minute: float | None = 1000.0
    burst: float = 50.0
    latency: float = 0.06
    a_thread: int = 1
    warm: float = 150.0
    after: float = 0.0


SCENARIOS = {
    "100 active runs": Traffic(100),
    "300 active runs": Traffic(300, after=300.0),
    "unlimited, 120 active runs": Traffic(120, per_minute=None),
    "10 active runs a thread, 100 in all": Traffic(100, a_thread=10),
}

# At a service that lets much through, of which nothing is known at first.
GENEROUS = {
    "1,000 active runs, no limit": Traffic(1_000, per_minute=None, latency=0.005, warm=30.0),
    "2,000 active runs, no limit": Traffic(2_000, per_minute=None, latency=0.005, warm=30.0),
    "1,000 active runs, 5,000 a minute, from the start": Traffic(
        1_000, per_minute=5_000.0, burst=250.0, latency=0.005, warm=0.0
    ),
}


class _Clock:
    """The machine's time, which can be set back."""

    def __init__(self) -> None:
        self.back = 0.0

    def now(self) -> float:
        return time.time() - self.back


def serve(channel: Connection, traffic: Traffic, seed: int) -> None:
    """Serves until it is told to stop; tells of each run that is active or begins."""
    clock, chance, told = _Clock(), Random(seed), threading.Lock()
    simulator = Simulator(
        seed=seed,
        clock=clock,
        many_active=True,
        per_minute=traffic.per_minute,
        burst=traffic.burst,
        latency=traffic.latency,
    )
    threads = [simulator.create_thread() for _ in range(traffic.active // traffic.a_thread)]

    def begin() -> tuple[str, str]:
        thread = chance.choice(threads) if traffic.a_thread > 1 else None
        run = simulator.create_run(thread, chance.choice(ASSISTANTS))
        return run.thread_id, run.run_id

    # Those that are there at the start are of all ages.
    clock.back, earlier = HISTORY_SECONDS, []
    while clock.back > 0:
        earlier.append(begin())
        clock.back -= chance.expovariate(traffic.active / MEAN_LIFE)
    clock.back = 0.0
    stop = threading.Event()

    def go_on() -> None:
        while not stop.wait(chance.expovariate(traffic.active / MEAN_LIFE)):
            with told:
                channel.send(("run", *begin()))

    with simulator:
        channel.send(("serves", simulator.base_url))
        for thread_id, run_id in earlier:
            if not is_ended(simulator.truth(run_id).status):
                channel.send(("run", thread_id, run_id))
        threading.Thread(target=go_on, daemon=True).start()
        while (asked := channel.recv()) != "stop":
            if asked == "no more":
                stop.set()
            with told:
                channel.send(("traffic", dict(simulator.traffic)))
        stop.set()
        with told:
            truths = {run: simulator.truth(run).transitions for run in simulator.run_ids()}
            channel.send(("truths", truths))
