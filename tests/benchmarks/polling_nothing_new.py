"""Microseconds that a poll which shows nothing new costs after HTTP, by the poller's own code.

`Looking._ask` is run against a source whose answers lie ready: as a bare coroutine, and as the
task that the poller makes of it. Beside it, what it would take to ask the eventsourcing library
for the run instead (`repository.get`, six events).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import closing
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
from tracker.polling.dispatcher import SourceDispatcher
from tracker.polling.poller import Poller
from tracker.polling.watched_run import WatchedRun
from tracker.recording.group_commit import GroupCommit
from tracker.recording.repository import RunRepository
from tracker.simulator import ManualClock, Parameters, Simulator
from tracker.sources.answer import Answer
from tracker.sources.assistants.snapshots import glance, run_snapshot
from tracker.testing import FakeClock

POLLS, ROUNDS = 20_000, 9


class Ready:
    """A source that gives its bodies in turn, at once."""

    name = "assistants"

    def __init__(self, bodies: list[bytes]) -> None:
        # Equal bytes are never the same object: each body comes off the wire anew.
        ready = [Answer(bytes(bytearray(body)), 200, BIRTH, BIRTH) for body in bodies * 2]
        self._answers = cycle(ready)
        self.read = 0

    async def fetch(self, thread_id: str, run_id: str, known: bytes | None = None) -> Answer:
        return next(self._answers)

    def glance(self, body: bytes) -> object:
        return glance(body)

    def snapshot(self, body: bytes | Mapping[str, Any], **times: datetime | None) -> RunSnapshot:
        self.read += 1
        return run_snapshot(body, self.name, **times)  # type: ignore[arg-type]


def bodies() -> dict[str, list[bytes]]:
    """Bodies of one run in progress that say the same, by how their bytes differ."""
    parameters = Parameters.ending("completed", action=0)
    simulator = Simulator(clock=ManualClock(), parameters=parameters)
    run = simulator.create_run(metadata={"user": "ann", "team": "blue"})
    begun = simulator.body(run.run_id, run.created_at + 2.1)
    assert begun["status"] == "in_progress"
    plain = json.dumps(begun).encode()
    return {
        "equal bytes": [plain],
        "keys in another order": [plain, json.dumps(dict(reversed(begun.items()))).encode()],
        "other white space": [plain, json.dumps(begun, indent=2).encode()],
        "an untracked field differs": [plain, json.dumps({**begun, "temperature": 0.5}).encode()],
    }


async def measure_polls(sent: list[bytes]) -> dict[str, list[float]]:
    """Microseconds a poll in each round: what `_ask` does after HTTP, bare and as a task."""
    source = Ready(sent)
    batching = GroupCommit(RunRepository(open_memory()))
    poller = Poller(batching, FakeClock(), jitter=lambda: 0.5)
    watched = poller.watch(source, "thread_1", "run_1")
    gate = poller._roster.gate(watched.source)
    poller._looking._looked(
        watched, *await poller._looking._ask(watched, gate)
    )  # the first look is new

    def idle(_: int) -> float:
        return _each(lambda: _finish(source.fetch("thread_1", "run_1")))

    def bare(_: int) -> float:
        return _each(lambda: _finish(poller._looking._ask(watched, gate)))

    measured = take_turns({"the stub alone": idle, "ask": bare}, ROUNDS)
    measured["as a task of the poller"] = [
        await _as_tasks(poller, watched, gate) for _ in range(ROUNDS)
    ]
    assert source.read == 1, "something new was seen"
    return measured


def _each(poll: Callable[[], object]) -> float:
    started = perf_counter()
    for _ in range(POLLS):
        poll()
    return (perf_counter() - started) / POLLS * 1e6


def _finish(coroutine: Any) -> None:
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited for something")


async def _as_tasks(poller: Poller, watched: WatchedRun, gate: SourceDispatcher) -> float:
    started = perf_counter()
    for _ in range(POLLS):
        await asyncio.create_task(poller._looking.poll(watched, gate, ()))
    return (perf_counter() - started) / POLLS * 1e6


def measure_stock(fresh: Fresh, gets: int = 300) -> list[float]:
    """Microseconds of the library's `repository.get` for a run of six events, in each round."""
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

        return take_turns({"get": get}, ROUNDS)["get"]


def main() -> None:
    """Measures polls of one run, and the library's way on SQLite and PostgreSQL."""
    shown = []
    for name, sent in bodies().items():
        measured = asyncio.run(measure_polls(sent))
        net = middle(measured["ask"]) - middle(measured["the stub alone"])
        size = f"{len(sent[0]):,}"
        shown.append((name, size, "`_ask` less the stub's fetch", f"{net:.2f}", ""))
        for way in ("ask", "as a task of the poller"):
            micros = measured[way]
            label = "`_ask` with it" if way == "ask" else way
            shown.append((name, size, label, f"{middle(micros):.2f}", spread(micros)))
    with sqlite_files() as sqlite, postgres_databases(durable=False) as postgres:
        for name, fresh in (("stock, SQLite", sqlite), ("stock, PostgreSQL", postgres)):
            got = measure_stock(fresh)
            shown.append((name, "", "`repository.get`", f"{middle(got):.2f}", spread(got)))
    title = "A poll that shows nothing new. Aim: 1.5 µs for equal bytes, 5 µs for others"
    table(title, ("answer", "bytes", "what", "µs", "rounds"), shown)


if __name__ == "__main__":
    write(machine())
    main()
