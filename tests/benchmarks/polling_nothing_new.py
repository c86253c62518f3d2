"""Microseconds that a poll without news costs after HTTP, by the poller's own code.

`Poller.tick` polls many runs of a source whose answers lie ready: from the turn of a run to its
next wait in the timer wheel. Beside it, tasks that only fetch these answers, and the eventsourcing
library asked for a run instead (`repository.get`, six events).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import cycle
from time import perf_counter
from typing import Any

from tests.benchmarks.databases import Fresh, postgres_databases, sqlite_files
from tests.benchmarks.report import machine, middle, spread, table, take_turns, write
from tests.benchmarks.stock import StockApplication, StockRun
from tests.benchmarks.workload import BIRTH
from tracker.core.snapshot import RunSnapshot
from tracker.event_store.memory import open_memory
from tracker.polling.policy.cadence import Cadence
from tracker.polling.poller import Poller
from tracker.polling.run_updates import RunUpdates
from tracker.polling.watch_list import WatchList
from tracker.recording.group_commit import GroupCommit
from tracker.recording.repository import RunRepository
from tracker.runtime.worker_threads import WorkerThreads
from tracker.simulator import ManualClock, Parameters, Simulator
from tracker.sources.answer import Answer
from tracker.sources.assistants.snapshots import glance, run_snapshot
from tracker.testing import FakeClock

WAIT_SECONDS = 0.5
# Each run is polled once in a tick, whatever the policy would rather do.
CADENCE = Cadence(shortest=WAIT_SECONDS, longest=WAIT_SECONDS, start=1e6)


@dataclass(frozen=True)
class Settings:
    """Runs that are polled in a tick, and ticks in a round; calls of the library in a round."""

    runs: int = 500
    ticks: int = 40
    gets: int = 300
    rounds: int = 9


FULL = Settings()
TINY = Settings(runs=20, ticks=2, gets=2, rounds=0)


class Ready:
    """A source that gives the bodies of each run in turn, at once."""

    name = "assistants"

    def __init__(self, bodies: Sequence[bytes]) -> None:
        self._bodies = bodies
        self._answers: dict[str, Iterator[Answer]] = {}
        self.fetched = self.decoded = 0

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        self.fetched += 1
        answers = self._answers.get(run_id)
        if answers is None:
            answers = self._answers[run_id] = cycle(self._make_answers(run_id))
        return next(answers)

    def glance(self, body: bytes) -> object:
        return glance(body)

    def snapshot(self, body: bytes | Mapping[str, Any], **times: datetime | None) -> RunSnapshot:
        self.decoded += 1
        return run_snapshot(body, self.name, **times)  # type: ignore[arg-type]

    def _make_answers(self, run_id: str) -> list[Answer]:
        # Equal bytes are never the same object: each body comes from the network.
        bodies = [body.replace(RUN_ID.encode(), run_id.encode()) for body in [*self._bodies] * 2]
        return [Answer(bytes(bytearray(body)), 200, BIRTH, BIRTH) for body in bodies]


RUN_ID = "run_of_the_simulator"


def bodies() -> dict[str, list[bytes]]:
    """Returns bodies of one run in progress that say the same, by how their bytes differ."""
    parameters = Parameters.ending("completed", action=0)
    simulator = Simulator(clock=ManualClock(), parameters=parameters)
    run = simulator.create_run(metadata={"user": "ann", "team": "blue"})
    begun = simulator.body(run.run_id, run.created_at + 2.1)
    assert begun["status"] == "in_progress"
    begun["id"] = RUN_ID
    plain = json.dumps(begun).encode()
    return {
        "equal bytes": [plain],
        "keys in another order": [plain, json.dumps(dict(reversed(begun.items()))).encode()],
        "other white space": [plain, json.dumps(begun, indent=2).encode()],
        "an untracked field differs": [plain, json.dumps({**begun, "temperature": 0.5}).encode()],
    }


def measure_polls(sent: Sequence[bytes], settings: Settings) -> dict[str, list[float]]:
    """Returns the microseconds of each poll in each round, and of a task that only fetches."""
    source, clock = Ready(sent), FakeClock()
    commits = GroupCommit(RunRepository(open_memory()), WorkerThreads())
    watch_list = WatchList(clock, CADENCE, jitter=lambda: 0.5)
    updates = RunUpdates(watch_list, commits, clock, steps="never")
    poller = Poller(watch_list, updates, commits, clock, concurrency=settings.runs)
    ids = [(f"thread_{number}", f"run_{number:020d}") for number in range(settings.runs)]
    for thread_id, run_id in ids:
        watch_list.watch(source, thread_id, run_id)

    async def poll(ticks: int) -> float:
        before, seconds = source.fetched, 0.0
        for _ in range(ticks):
            clock.advance(2 * WAIT_SECONDS)
            started = perf_counter()
            await poller.tick()
            await poller.settle()
            seconds += perf_counter() - started
        polls = source.fetched - before
        assert polls == ticks * settings.runs, f"{polls} polls in {ticks} ticks"
        return seconds / polls * 1e6

    async def fetch(ticks: int) -> float:
        started = perf_counter()
        for _ in range(ticks):
            await asyncio.gather(*(asyncio.create_task(source.fetch(*run)) for run in ids))
        return (perf_counter() - started) / ticks / len(ids) * 1e6

    with asyncio.Runner() as runner:
        # The first poll of a run is news.
        runner.run(poll(1))
        measured = take_turns(
            {
                "a task that fetches": lambda _: runner.run(fetch(settings.ticks)),
                "a poll by `Poller.tick`": lambda _: runner.run(poll(settings.ticks)),
            },
            settings.rounds,
        )
        runner.run(poller.close())
    assert source.decoded == settings.runs, "something new was seen"
    return measured


def measure_stock(fresh: Fresh, settings: Settings) -> list[float]:
    """Returns the microseconds of the library's `repository.get` for a run, in each round."""
    gets = settings.gets
    with closing(StockApplication(fresh())) as stock:
        run = StockRun(
            source="assistants",
            run_id="run_1",
            thread_id="thread_1",
            assistant_id="asst_1",
            model="gpt-4o-mini",
            status="queued",
            metadata={"user": "ann", "team": "blue"},
            configuration_digest="0" * 32,
            observed_at=BIRTH,
            occurred_at=BIRTH,
            expires_at=BIRTH,
        )
        for number in range(5):
            later = BIRTH + timedelta(seconds=number)
            run.change_status(later, later, later, "queued", "in_progress")
        stock.application.save(run)
        assert stock.count() == 6

        def get(_: int) -> float:
            started = perf_counter()
            for _ in range(gets):
                found = stock.application.repository.get(run.id)
            assert found.version == 6
            return (perf_counter() - started) / gets * 1e6

        return take_turns({"get": get}, settings.rounds)["get"]


def main(settings: Settings = FULL) -> None:
    """Measures polls of runs, and the library's way on SQLite and PostgreSQL."""
    shown = []
    for name, sent in bodies().items():
        measured = measure_polls(sent, settings)
        fetching, polling = measured.values()
        size = f"{len(sent[0]):,}"
        for way, micros in measured.items():
            shown.append((name, size, way, f"{middle(micros):.2f}", spread(micros)))
        shown.append(
            (name, size, "the poller's part", f"{middle(polling) - middle(fetching):.2f}", "")
        )
    with sqlite_files() as sqlite, postgres_databases(durable=False) as postgres:
        for name, fresh in (("stock, SQLite", sqlite), ("stock, PostgreSQL", postgres)):
            got = measure_stock(fresh, settings)
            shown.append((name, "", "`repository.get`", f"{middle(got):.2f}", spread(got)))
    table("A poll without news", ("answer", "bytes", "what", "µs", "rounds"), shown)


if __name__ == "__main__":
    write(machine())
    main()
