"""Events a second that `Views.catch_up` applies, beside reading and decoding them alone.

The events of 1,000 runs arrive interleaved, which is the worst order for a projection.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from time import perf_counter

from projections import Views
from tests.benchmarks.databases import Fresh, postgres_databases, sqlite_files
from tests.benchmarks.report import machine, middle, spread, table, take_turns, write
from tests.benchmarks.workload import appends, arrivals, batches
from tracker import open_event_store

RUNS, ROUNDS = 1_000, 5
# Each wave is 1,000 runs, interleaved among themselves.
WAVES = 5


def measure(fresh: Fresh) -> tuple[int, dict[str, list[float]]]:
    """How many events there are, and how many a second each way takes, in each round."""
    events_url = fresh()
    with closing(open_event_store(events_url)) as store:
        for wave in range(WAVES):
            for batch in batches(arrivals(RUNS, wave), 250):
                store.append(appends(batch))
        events = store.last_position()

        def read(_: int) -> float:
            started = perf_counter()
            position, seen = 0, 0
            while page := store.read_all(position, 1000):
                position, seen = page[-1].position, seen + len(page)
            assert seen == events
            return events / (perf_counter() - started)

        def catch_up(_: int) -> float:
            with Views(fresh(), store=store) as views:
                views.upgrade()
                started = perf_counter()
                applied = views.catch_up()
                seconds = perf_counter() - started
                assert applied == events
                assert sum(entry.runs for entry in views.status_counts()) == RUNS * WAVES
                assert views.catch_up() == 0
            return events / seconds

        contenders: dict[str, Callable[[int], float]] = {
            "read_all, decoded": read,
            "catch_up": catch_up,
        }
        return events, take_turns(contenders, ROUNDS)


def main() -> None:
    """Measures on SQLite and PostgreSQL, the tables in a database of their own each round."""
    shown = []
    with sqlite_files() as sqlite, postgres_databases(durable=True) as postgres:
        for name, fresh in (("SQLite", sqlite), ("PostgreSQL", postgres)):
            events, measured = measure(fresh)
            reading = middle(measured["read_all, decoded"])
            for way, rates in measured.items():
                rate = middle(rates)
                shown.append((name, way, f"{rate:,.0f}", spread(rates), f"{rate / reading:.2f}"))
    title = (
        f"Catching up, all durable: {events:,} events of {RUNS:,} runs interleaved, {WAVES} times"
    )
    table(title, ("database", "way", "events/s", "rounds", "÷ reading"), shown)


if __name__ == "__main__":
    write(machine())
    main()
