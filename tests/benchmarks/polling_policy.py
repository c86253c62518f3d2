"""Detection delay by the policy alone: the whole poller, on time that jumps.

The runs, the limit and the distance are those of `polling`, but nothing takes time that is not
simulated, so that many minutes can be measured: what `polling` measures in one varies by a third
from one minute to the next.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Any

import httpx

from tests.benchmarks.polled_service import (
    ASSISTANTS,
    HISTORY_SECONDS,
    MEAN_LIFE,
    SCENARIOS,
    Traffic,
)
from tests.benchmarks.polling_outcome import Outcome, judge, sightings_in
from tests.benchmarks.report import machine, table, write
from tests.benchmarks.virtual_time import CallersThread, VirtualClock, run
from tracker.core.status import is_ended
from tracker.event_store import open_event_store
from tracker.polling.dispatcher import TICK_SECONDS
from tracker.polling.policy.cadence import Cadence
from tracker.polling.poller import Poller
from tracker.polling.run_updates import RunUpdates
from tracker.polling.watch_list import WatchList
from tracker.recording.group_commit import GroupCommit
from tracker.recording.repository import RunRepository
from tracker.simulator import Simulator
from tracker.sources import Assistants

if TYPE_CHECKING:
    from tracker.polling.policy.pace import Pace

MEASURED, GRACE = 300.0, 15.0


class _Seconds:
    """The clock as the simulator wants it: unix seconds."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        # Seconds by which it is set back.
        self.back = 0.0

    def now(self) -> float:
        return self._clock.now().timestamp() - self.back


@dataclass
class Polled:
    """A service, the poller that follows its runs, and what came of it.

    `paces` are those of an earlier poller. With `of_all_ages`, as many runs as later are active
    from the start; without, they come one by one.
    """

    traffic: Traffic
    seed: int
    clock: VirtualClock
    measured: float = MEASURED
    paces: Mapping[str, Pace] = field(default_factory=dict)
    of_all_ages: bool = False
    begun: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        traffic, self.chance = self.traffic, Random(self.seed)
        self.seconds = _Seconds(self.clock)
        self.service = Simulator(
            seed=self.seed,
            clock=self.seconds,
            many_active=True,
            per_minute=traffic.per_minute,
            burst=traffic.burst,
            latency=traffic.latency,
        )
        self.threads = [self.service.create_thread() for _ in range(traffic.active)]
        transport = httpx.ASGITransport(self.service.app)
        self.api = Assistants("http://service/v1", "key", clock=self.clock, transport=transport)
        self.store = open_event_store("memory://")
        # Who knows that there is no limit says so, and waits for no rate to grow.
        cadence = Cadence(start=100.0) if traffic.per_minute is None else Cadence()
        # An earlier version of the watch list takes none.
        kept: dict[str, Any] = {"paces": self.paces} if self.paces else {}
        commits, jitter = (
            GroupCommit(RunRepository(self.store), CallersThread()),
            self.chance.random,
        )
        self.watch_list = WatchList(self.clock, cadence, jitter=jitter, **kept)
        updates = RunUpdates(self.watch_list, commits, self.clock)
        self.poller = Poller(self.watch_list, updates, commits, self.clock, jitter=jitter)

    async def outcome(self) -> Outcome:
        """Lets the time of the scenario pass, and judges."""
        traffic = self.traffic
        if self.of_all_ages:
            self._begin_earlier()
        work = [asyncio.create_task(self._poll()), asyncio.create_task(self._begin())]
        await asyncio.sleep(traffic.warm)
        before, since = self.service.traffic, self._now()
        await asyncio.sleep(self.measured)
        after, until = self.service.traffic, self._now()
        await asyncio.sleep(GRACE)
        end = self._now()
        work.pop().cancel()
        await asyncio.sleep(traffic.after)
        work.pop().cancel()
        await self.poller.close()
        await self.api.aclose()
        outcome, (sightings, told) = Outcome(), sightings_in(self.store)
        for run_id in self.begun:
            transitions = self.service.truth(run_id).transitions
            looks, pauses = sightings.get(run_id, []), told.get(run_id, [])
            judge(outcome, list(transitions), looks, pauses, since, until, end)
        for status in ("200", "429"):
            outcome.requests += after[status] - before[status]
        outcome.refused = after["429"] - before["429"]
        return outcome

    def _begin_earlier(self) -> None:
        """Creates the runs of the last minutes, and watches those that have not ended."""
        self.seconds.back, begun = HISTORY_SECONDS, []
        while self.seconds.back > 0:
            begun.append(self._create())
            self.seconds.back -= self.chance.expovariate(self.traffic.active / MEAN_LIFE)
        self.seconds.back = 0.0
        for thread_id, run_id in begun:
            if not is_ended(self.service.truth(run_id).status):
                self._watch(thread_id, run_id)

    def _create(self) -> tuple[str, str]:
        a_thread = self.traffic.a_thread
        thread = self.chance.choice(self.threads[::a_thread]) if a_thread > 1 else None
        begun = self.service.create_run(thread, self.chance.choice(ASSISTANTS))
        return begun.thread_id, begun.run_id

    def _watch(self, thread_id: str, run_id: str) -> None:
        self.begun.append(run_id)
        self.watch_list.watch(self.api, thread_id, run_id)

    def _now(self) -> float:
        return self.clock.now().timestamp()

    async def _poll(self) -> None:
        while True:
            await self.poller.tick()
            await asyncio.sleep(TICK_SECONDS)

    async def _begin(self) -> None:
        while True:
            self._watch(*self._create())
            await asyncio.sleep(self.chance.expovariate(self.traffic.active / MEAN_LIFE))


def simulate(
    traffic: Traffic,
    seed: int,
    measured: float = MEASURED,
    paces: Mapping[str, Pace] | None = None,
    *,
    of_all_ages: bool = False,
) -> Outcome:
    """What comes of so many seconds of a scenario, the same for the same seed."""

    async def scenario(clock: VirtualClock) -> Outcome:
        polled = Polled(traffic, seed, clock, measured, paces or {}, of_all_ages)
        return await polled.outcome()

    return run(scenario)


def learn(traffic: Traffic, seed: int, seconds: float = 120.0) -> Mapping[str, Pace]:
    """Returns the paces that a poller leaves to the next one after so many seconds."""

    async def scenario(clock: VirtualClock) -> Mapping[str, Pace]:
        polled = Polled(replace(traffic, warm=seconds), seed, clock, 0.0)
        await polled.outcome()
        # As it is written and read.
        return {
            name: pace._replace(hazards=json.loads(json.dumps(pace.hazards)))
            for name, pace in polled.watch_list.paces().items()
        }

    return run(scenario)


@dataclass(frozen=True)
class Settings:
    """Scenarios by name, simulated with so many seeds each; the seconds that are measured."""

    scenarios: Mapping[str, Traffic] = field(default_factory=lambda: SCENARIOS)
    seeds: int = 2
    measured: float = MEASURED


FULL = Settings()
TINY = Settings({"10 active runs": Traffic(10, warm=10.0)}, seeds=1, measured=20.0)


def main(settings: Settings = FULL, chosen: Sequence[str] = ()) -> None:
    """Measures the scenarios whose names begin like one of `chosen`, or all."""
    rows = []
    for name, traffic in settings.scenarios.items():
        if chosen and not any(name.startswith(begin) for begin in chosen):
            continue
        for seed in range(settings.seeds):
            outcome = simulate(traffic, seed, settings.measured)
            events = len(outcome.delays) + outcome.told + outcome.missed
            rows.append(
                (
                    *(name, f"{events}", f"{outcome.mean:.2f}"),
                    *(f"{outcome.p95:.2f}", f"{outcome.told}", f"{outcome.missed}"),
                    *(f"{outcome.open}", f"{outcome.a_run(outcome.requests):.1f}"),
                    f"{outcome.refused / outcome.requests:.1%}",
                )
            )
    header = ("scenario", "events", "mean s", "p95 s", "told later", "missed", "open")
    table("Polling, simulated", (*header, "requests a run", "refused"), rows)


if __name__ == "__main__":
    write(machine())
    main(chosen=sys.argv[1:])
