"""Events appended a second: ours beside stock `Application.save` and beside the driver alone.

Every contender appends the same events in transactions of the same size, in turns, each to a
database of its own. Only the append is timed, with all encoding of ours and of stock; the rows
of the floors are encoded before. `decide and append` starts from looks instead of events. A ratio
is the median of the rounds' ratios.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import TypeVar

from tests.benchmarks.databases import Fresh, postgres_databases, sqlite_files
from tests.benchmarks.floors import PostgresFloor, SqliteFloor, rows
from tests.benchmarks.report import machine, middle, settle, spread, table, take_turns, write
from tests.benchmarks.stock import StockApplication
from tests.benchmarks.workload import Arrival, appends, arrivals, batches, count_checked
from tracker import open_event_store
from tracker.recording.observation import Observation
from tracker.recording.repository import RunRepository


@dataclass(frozen=True)
class Settings:
    """Runs whose events are appended in a round, by events a transaction; and rounds."""

    runs: Mapping[int, int] = field(default_factory=lambda: {1: 60, 10: 250, 100: 1000, 250: 1000})
    rounds: int = 9


FULL = Settings()
TINY = Settings({1: 2, 10: 5}, rounds=0)

T = TypeVar("T")
_STOCK, _OURS, _WHOLE, _RAW = "stock save", "ours", "ours, decide and append", "raw executemany"


def measure(fresh: Fresh, size: int, runs: int, rounds: int) -> dict[str, list[float]]:
    """Returns the events a second of each contender in each round, `size` events a transaction."""
    floor_of = SqliteFloor if fresh().startswith("sqlite") else PostgresFloor
    with ExitStack() as open_until_checked:
        stock = open_until_checked.enter_context(closing(StockApplication(fresh())))
        stores = [
            open_until_checked.enter_context(closing(open_event_store(fresh()))) for _ in range(2)
        ]
        store, whole = stores
        histories = RunRepository(whole)
        contenders: dict[str, Callable[[int], float]] = {
            _STOCK: partial(
                _rate, runs, size, stock.trigger, lambda it: stock.application.save(*it)
            ),
            _OURS: partial(_rate, runs, size, appends, store.append),
            _WHOLE: partial(_rate, runs, size, _looks, histories.record),
        }
        floors = {}
        for name in [_RAW] if floor_of is SqliteFloor else [_RAW, "raw unnest", "raw COPY"]:
            floors[name] = open_until_checked.enter_context(closing(floor_of(fresh())))
            contenders[name] = partial(_rate, runs, size, rows, floors[name].ways()[name])
        measured = take_turns(contenders, rounds)
        expected = sum(len(arrivals(runs, number)) for number in range(rounds + 1))
        assert count_checked(store) == stock.count() == expected
        # All runs share one configuration, which is an event of its own.
        assert count_checked(whole) == expected + 1
        assert {floor.count() for floor in floors.values()} == {expected}
    return measured


def _rate(
    runs: int,
    size: int,
    prepare: Callable[[Sequence[Arrival]], T],
    append: Callable[[T], object],
    number: int,
) -> float:
    arrived = arrivals(runs, number)
    settle()
    seconds = 0.0
    for batch in batches(arrived, size):
        prepared = prepare(batch)
        started = perf_counter()
        append(prepared)
        seconds += perf_counter() - started
    return len(arrived) / seconds


def _looks(batch: Sequence[Arrival]) -> list[object]:
    return [Observation.of(arrival.snapshot) for arrival in batch]


def _show(title: str, fresh: Fresh, settings: Settings) -> None:
    shown = []
    for size, runs in settings.runs.items():
        measured = measure(fresh, size, runs, settings.rounds)
        for name, rates in measured.items():
            ratios = [_ratio(rates, measured[floor]) for floor in (_STOCK, _RAW)]
            shown.append((str(size), name, f"{middle(rates):,.0f}", spread(rates), *ratios))
    header = ("events a transaction", "contender", "events/s", "rounds", "÷ stock", "÷ raw")
    table(title, header, shown)


def _ratio(rates: Sequence[float], others: Sequence[float]) -> str:
    # Round by round, so that what slowed a whole round down slowed both.
    return f"{middle([rate / other for rate, other in zip(rates, others, strict=True)]):.2f}"


def main(settings: Settings = FULL) -> None:
    """Measures on SQLite, and on PostgreSQL with and without fsync."""
    rounds = f"median of {settings.rounds} rounds in turns"
    write(f"\n# Appending: {rounds}. Aim in batches: 4 ÷ stock, 0.6 ÷ raw")
    with sqlite_files() as fresh:
        _show("SQLite, WAL, synchronous=FULL", fresh, settings)
    for durable in (True, False):
        with postgres_databases(durable=durable) as fresh:
            fsync = "fsync and synchronous_commit on" if durable else "fsync off, as in the tests"
            _show(f"PostgreSQL, {fsync}", fresh, settings)


if __name__ == "__main__":
    write(machine())
    main()
