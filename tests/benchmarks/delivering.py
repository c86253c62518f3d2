"""Delivery to handlers: the cost of an event, twenty runs that wait, and workers that are killed.

The workers are four, on PostgreSQL.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time, sleep

from tests.benchmarks.databases import postgres_databases
from tests.benchmarks.report import machine, middle, table, take_turns, write
from tests.support.handling_workers import WORKERS, handle_backlog
from tests.support.undelivered_events import created, unpolled_tracker
from tests.support.waiting import until
from tracker import Delivery, open_event_store
from tracker.core.events import RunCreated

_BATCH = 250


@dataclass(frozen=True)
class Settings:
    """Events of a backlog, rounds, runs that wait, kills, and seconds at 50 events a second.

    `busy_seconds` are those of a handler of the twenty runs.
    """

    backlog: int = 10_000
    rounds: int = 3
    runs: int = 10_000
    kills: int = 12
    steady_seconds: float = 30.0
    busy_seconds: float = 0.5


FULL = Settings()
TINY = Settings(backlog=500, rounds=0, runs=200, kills=1, steady_seconds=1.0, busy_seconds=0.01)


def deliver(url: str, number: int, *, is_plain: bool) -> tuple[float, float]:
    """Delivers a backlog to a handler that does nothing; returns seconds, and of the processor."""
    store = open_event_store(url)
    for first in range(0, number, _BATCH):
        store.append([created(first + it) for it in range(min(_BATCH, number - first))])
    store.close()
    tracker = unpolled_tracker(url)

    async def nothing(delivery: Delivery) -> None:
        pass

    def nothing_in_a_thread(delivery: Delivery) -> None:
        pass

    handler: Callable[[Delivery], object] = nothing_in_a_thread if is_plain else nothing
    tracker.on(RunCreated, since="start")(handler)

    async def scenario() -> tuple[float, float]:
        began, of_processor = perf_counter(), process_time()
        async with tracker:
            await until(lambda: tracker.deliveries()[0].position == number)
            return perf_counter() - began, process_time() - of_processor

    return asyncio.run(scenario())


def measure_backlog(fresh: Callable[[], str], settings: Settings) -> None:
    """Measures the cost of an event in a backlog, for both kinds of functions and databases."""
    with tempfile.TemporaryDirectory() as folder:
        urls: dict[str, Callable[[int], str]] = {
            "SQLite": lambda number: f"sqlite:///{folder}/{perf_counter()}.db",
            "PostgreSQL": lambda number: fresh(),
        }
        processor: dict[str, list[float]] = {}

        def contender(name: str, is_plain: bool) -> Callable[[int], float]:
            def measure(number: int) -> float:
                url = urls[name](number)
                seconds, of_processor = deliver(url, settings.backlog, is_plain=is_plain)
                processor.setdefault(f"{name}{is_plain}", []).append(of_processor)
                return seconds * 1000 / settings.backlog

            return measure

        contenders = {
            f"{name}, {'functions' if is_plain else 'coroutine functions'}": contender(
                name, is_plain
            )
            for name in urls
            for is_plain in (False, True)
        }
        measured = take_turns(contenders, settings.rounds)
    table(
        f"A backlog of {settings.backlog:,} events, a handler that does nothing",
        ("database and handler", "ms an event", "of the processor"),
        [
            (
                name,
                f"{middle(measured[name]):.3f}",
                f"{middle(times) * 1000 / settings.backlog:.3f}",
            )
            for name, times in zip(contenders, processor.values(), strict=True)
        ],
    )


def answer_twenty(url: str, seconds: float, *, is_plain: bool) -> float:
    """Has twenty runs wait, of which one always fails, for handlers that take `seconds`.

    The settings are the default ones. Returns the seconds until the other nineteen are handled.
    """
    store = open_event_store(url)
    tracker = unpolled_tracker(url)
    done: list[float] = []

    def check(delivery: Delivery) -> None:
        if delivery.run_id == "run_7":
            raise ValueError("the tool of this run always fails")
        done.append(perf_counter())

    def work(delivery: Delivery) -> None:
        sleep(seconds)
        check(delivery)

    async def work_on_loop(delivery: Delivery) -> None:
        await asyncio.sleep(seconds)
        check(delivery)

    handler: Callable[[Delivery], object] = work if is_plain else work_on_loop
    tracker.on(RunCreated)(handler)

    async def scenario() -> float:
        async with tracker:
            await until(lambda: tracker.deliveries()[0].here)
            began = perf_counter()
            store.append([created(number) for number in range(20)])
            await until(lambda: len(done) == 19)
            await until(lambda: tracker.deliveries()[0].failing is not None)
            return max(done) - began

    with closing(store):
        # The failures are meant to be.
        logging.getLogger("runfold.delivery").setLevel(logging.CRITICAL)
        try:
            return asyncio.run(scenario())
        finally:
            logging.getLogger("runfold.delivery").setLevel(logging.NOTSET)


def measure_twenty(fresh: Callable[[], str], settings: Settings) -> None:
    """Measures the time until nineteen of twenty runs are handled."""
    with tempfile.TemporaryDirectory() as folder:
        urls = {"SQLite": f"sqlite:///{folder}/%d.db", "PostgreSQL": ""}
        rows = []
        for name, url in urls.items():
            for is_plain in (False, True):
                given = url % is_plain if url else fresh()
                seconds = answer_twenty(given, settings.busy_seconds, is_plain=is_plain)
                kind = "functions" if is_plain else "coroutine functions"
                rows.append((f"{name}, {kind}", f"{seconds:.2f} s"))
    table(
        f"Twenty runs that wait, {settings.busy_seconds} s each, one of them always failing",
        ("database and handler", "the other nineteen are handled after"),
        rows,
    )


def kill_workers(url: str, folder: Path, settings: Settings) -> None:
    """Kills workers; fails if an action was lost, out of order, or repeated too often."""
    handled = handle_backlog(
        url,
        folder,
        runs=settings.runs,
        kills=settings.kills,
        seconds=0.01,
        rate=50.0,
        lasts=settings.steady_seconds,
    )
    handled.check(settings.runs + len(handled.delays))
    delays = sorted(handled.delays)
    table(
        f"{WORKERS} workers, {settings.runs:,} waiting runs with two events each",
        ("kills", "events a second", "repeats", "from event to handler, p50", "p95", "longest"),
        [
            (
                str(handled.kills),
                f"{2 * settings.runs / handled.seconds:,.0f}",
                str(handled.repeats),
                f"{middle(delays) * 1000:.0f} ms",
                f"{delays[int(len(delays) * 0.95)] * 1000:.0f} ms",
                f"{delays[-1] * 1000:.0f} ms",
            )
        ],
    )


def main(settings: Settings = FULL) -> None:
    """Measures the cost of an event and twenty runs that wait, then kills workers."""
    write("\n# Delivery: at most 0.3 ms an event, twenty half seconds in one, 0.2 s at 50 events/s")
    with postgres_databases(durable=False) as fresh, tempfile.TemporaryDirectory() as folder:
        measure_backlog(fresh, settings)
        measure_twenty(fresh, settings)
        kill_workers(fresh(), Path(folder), settings)


if __name__ == "__main__":
    write(machine())
    main()
