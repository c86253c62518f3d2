"""Events a second that the tables are filled with, beside reading and decoding them alone.

The events of 1,000 runs arrive interleaved, which is the worst order for a projection. Beside
it stand one event a transaction, and a raw bulk insert of the final rows of `runs`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import psycopg

from projections import Views
from projections.database.engine import open_engine
from projections.database.migrations import upgrade
from projections.projectors.costs import CostsProjection
from projections.projectors.prices import Prices
from projections.projectors.projection import Projection
from projections.projectors.runs import RunsProjection
from projections.runner.catch_up import catch_up
from projections.runner.rebuild import rebuild
from projections.runner.replay import StoreAtPosition
from projections.views import PROJECTIONS
from tests.benchmarks.databases import Fresh, postgres_databases, sqlite_file, sqlite_files
from tests.benchmarks.report import machine, middle, spread, table, take_turns, write
from tests.benchmarks.workload import appends, arrivals, batches
from tracker import open_event_store
from tracker.event_store import EventStore

ALONE: Sequence[Projection] = (RunsProjection(),)
PRICED: Sequence[Projection] = (*PROJECTIONS, CostsProjection(Prices()))


@dataclass(frozen=True)
class Settings:
    """Waves of runs that are interleaved; `singles` are the events applied one a transaction."""

    runs: int = 1_000
    waves: int = 5
    singles: int = 400
    rounds: int = 5


FULL = Settings()
TINY = Settings(runs=20, waves=2, singles=5, rounds=0)


def measure(fresh: Fresh, settings: Settings) -> tuple[int, dict[str, list[float]]]:
    """Returns the number of events, and those a second of each way in each round."""
    singles = settings.singles
    with closing(open_event_store(fresh())) as store:
        for wave in range(settings.waves):
            for batch in batches(arrivals(settings.runs, wave), 250):
                store.append(appends(batch))
        events = store.last_position()
        rows = _final_rows(fresh(), store)
        assert len(rows) == settings.runs * settings.waves
        contenders: dict[str, Callable[[int], float]] = {
            "read_all, decoded": lambda _: events / _reading(store),
            "runs": lambda _: events / _catching_up(fresh(), store, ALONE),
            "all tables": lambda _: events / _catching_up(fresh(), store, PROJECTIONS),
            "all tables and costs": lambda _: events / _catching_up(fresh(), store, PRICED),
            "runs, rebuilt": lambda _: events / _rebuilding(fresh(), store, ALONE),
            "all tables, rebuilt": lambda _: events / _rebuilding(fresh(), store, PROJECTIONS),
            "runs, an event a transaction": lambda _: (
                singles / _catching_up(fresh(), StoreAtPosition(store, singles), ALONE, batch=1)
            ),
            "rows of runs, raw bulk insert": lambda _: events / _inserting(fresh(), rows),
        }
        return events, take_turns(contenders, settings.rounds)


def _reading(store: EventStore) -> float:
    started = perf_counter()
    position, seen = 0, 0
    while page := store.read_all(position, 1000):
        position, seen = page[-1].position, seen + len(page)
    assert seen == store.last_position()
    return perf_counter() - started


def _catching_up(
    url: str, store: EventStore, projections: Sequence[Projection], batch: int = 20_000
) -> float:
    engine = open_engine(url, create=True)
    upgrade(engine)
    started = perf_counter()
    applied = catch_up(engine, store, projections, batch=batch)
    seconds = perf_counter() - started
    assert applied == store.last_position()
    assert catch_up(engine, store, projections) == 0
    engine.dispose()
    return seconds


def _rebuilding(url: str, store: EventStore, projections: Sequence[Projection]) -> float:
    engine = open_engine(url, create=True)
    upgrade(engine)
    started = perf_counter()
    assert rebuild(engine, store, projections) == store.last_position()
    seconds = perf_counter() - started
    engine.dispose()
    return seconds


def _final_rows(url: str, store: EventStore) -> list[tuple[Any, ...]]:
    """The rows of `runs` as their database keeps them."""
    with Views(url, store=store) as views:
        views.upgrade()
        views.catch_up()
    # As text, so that nothing but inserting is measured.
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(sqlite_file(url))) as connection:
            return connection.execute("SELECT * FROM runs").fetchall()
    with psycopg.connect(url) as server, server.cursor() as cursor:
        cursor.execute("SELECT * FROM runs")
        names = [column.name for column in cursor.description or ()]
        shown = ", ".join(f"{name}::text" for name in names)
        return cursor.execute(f"SELECT {shown} FROM runs").fetchall()  # type: ignore[call-overload, no-any-return]


def _inserting(url: str, rows: Sequence[tuple[Any, ...]]) -> float:
    engine = open_engine(url, create=True)
    upgrade(engine)
    engine.dispose()
    if url.startswith("sqlite"):
        marks = ", ".join("?" * len(rows[0]))
        with closing(sqlite3.connect(sqlite_file(url))) as connection:
            started = perf_counter()
            connection.executemany(f"INSERT INTO runs VALUES ({marks})", rows)
            connection.commit()
            return perf_counter() - started
    with psycopg.connect(url) as server, server.cursor() as cursor:
        started = perf_counter()
        with cursor.copy("COPY runs FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        server.commit()
        return perf_counter() - started


def main(settings: Settings = FULL) -> None:
    """Measures on SQLite and PostgreSQL, the tables in a database of their own each round."""
    shown = []
    with sqlite_files() as sqlite, postgres_databases(durable=True) as postgres:
        for name, fresh in (("SQLite", sqlite), ("PostgreSQL", postgres)):
            events, measured = measure(fresh, settings)
            reading = middle(measured["read_all, decoded"])
            single = middle(measured["runs, an event a transaction"])
            for way, rates in measured.items():
                rate = middle(rates)
                ratios = (f"{rate / reading:.2f}", f"{rate / single:,.0f}")
                shown.append((name, way, f"{rate:,.0f}", spread(rates), *ratios))
    title = (
        f"Filling the tables, all durable: {events:,} events of {settings.runs:,} runs "
        f"interleaved, {settings.waves} times"
    )
    header = ("database", "way", "events/s", "rounds", "÷ reading", "÷ an event a transaction")
    table(title, header, shown)


if __name__ == "__main__":
    write(machine())
    main()
