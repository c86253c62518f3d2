"""Time of each question with a million runs in the tables, and with half of them.

Then the tables are made again, which tells how long a million events take, and in what memory.

The runs go the whole way: events in the store, and a catch-up. Their number may be given:
`python -m tests.benchmarks.asking 100000`.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from time import perf_counter
from typing import cast

from projections import Views
from projections.queries.run_cursor import Order
from tests.benchmarks.databases import Fresh, postgres_databases, sqlite_files
from tests.benchmarks.many_runs import DAYS, FIRST, fill
from tests.benchmarks.report import machine, middle, settle, table, write
from tracker import EventStore, open_event_store

NOW = FIRST + timedelta(days=DAYS, hours=1)


@dataclass(frozen=True)
class Settings:
    """Runs in the tables, with a seed that gives some that wait; rounds of each question."""

    runs: int = 1_000_000
    seed: int = 0
    rounds: int = 7


FULL = Settings()
TINY = Settings(runs=400, seed=7, rounds=1)


def questions(views: Views) -> dict[str, Callable[[], object]]:
    """Returns the questions by their names."""
    week = {"since": NOW - timedelta(days=7, minutes=7)}
    return {
        "status counts": views.status_counts,
        "p50, p95, p99 by assistant": lambda: views.timing(by="assistant_id"),
        "tokens by model by day": lambda: views.usage(by=("model", "day")),
        "the same in Europe/Berlin": lambda: views.usage(by=("model", "day"), tz="Europe/Berlin"),
        "the same in Asia/Kolkata": lambda: views.usage(by=("model", "day"), tz="Asia/Kolkata"),
        "stuck runs": lambda: views.stuck(NOW, limit=100),
        "runs that wait": lambda: views.runs(status="requires_action", limit=100),
        "tokens by model, last week": lambda: views.usage(by="model", **week),
        "p95 by assistant, last week": lambda: views.timing(by="assistant_id", **week),
        "outcomes by day": lambda: views.status_counts(by="day", **week),
        "outcomes by hour": lambda: views.status_counts(by="hour", **week),
        "tokens of one model by day": lambda: views.usage(by="day", model="gpt-4o", **week),
        "dollars by model by day": lambda: views.cost(by=("day", "model"), **week),
        "tokens by team, newest": lambda: views.usage(by="metadata.team", newest=10_000),
        "open runs and their phases": lambda: views.open_runs(now=NOW, limit=50),
        "failures by error code": views.failures,
        "failures of one model": lambda: views.failures(model="gpt-4o"),
        **_pages(views, week),
    }


def _pages(views: Views, week: dict[str, datetime]) -> dict[str, Callable[[], object]]:
    """Returns pages of runs, in each order, by rare and by common values."""
    hour = {"since": NOW - timedelta(days=3), "until": NOW - timedelta(days=3, hours=-1)}
    later = views.runs(limit=50, since=week["since"]).next_cursor
    thread = views.runs(limit=1)[0].thread_id or ""
    found: dict[str, Callable[[], object]] = {
        "newest runs, second page": lambda: views.runs(limit=50, cursor=later),
        "runs of a thread": lambda: views.runs(thread_id=thread),
        "runs of an assistant": lambda: views.runs(assistant_id=f"asst_{3:024d}"),
        "runs with metadata": lambda: views.runs(metadata={"team": "team_3"}),
        "runs of no model": lambda: (views.runs(model="none", limit=50),),
        "failed runs": lambda: views.runs(outcome="failed"),
        "waiting calls": lambda: views.actions(waiting=True),
        "first calls": views.actions,
        "one run": lambda: views.run(views.runs(limit=1)[0].run_id),
    }
    for order in ("slowest", "dearest", "most_tokens"):
        for name, limits in (("of all", {}), ("of the week", week), ("of an hour", hour)):
            found[f"{order} {name}"] = partial(
                views.runs, order=cast("Order", order), limit=8, **limits
            )
    return found


def measure(fresh: Fresh, settings: Settings) -> tuple[dict[str, list[float]], list[str]]:
    """Returns the milliseconds of each question, with half of the runs and with all, and notes."""
    runs, found, filled = settings.runs, dict[str, list[float]](), []
    url = fresh()
    with closing(open_event_store(url)) as store, Views(url, store=store) as views:
        views.upgrade()
        for half in range(2):
            started = perf_counter()
            events = fill(store, runs // 2, seed=settings.seed + half)
            appended = perf_counter()
            assert views.catch_up() == events
            caught_up = perf_counter()
            filled.append(
                f"{events:,} events appended at {events / (appended - started):,.0f}/s, all "
                f"tables filled at {events / (caught_up - appended):,.0f}/s"
            )
            counts = {it.status: it.runs for it in views.status_counts()}
            assert sum(counts.values()) == runs // 2 * (half + 1), counts
            for name, ask in questions(views).items():
                # Of few runs, none may be of an hour.
                assert ask() or name.endswith("of an hour"), name
                taken = []
                for _ in range(settings.rounds):
                    settle()
                    began = perf_counter()
                    ask()
                    taken.append((perf_counter() - began) * 1000)
                found.setdefault(name, []).append(middle(taken))
        filled += [_reading(store), _rebuilding(views, "runs"), _rebuilding(views)]
    return found, filled


def _reading(store: EventStore) -> str:
    began, position, count = perf_counter(), 0, 0
    while page := store.read_all(position, 1000):
        position, count = page[-1].position, count + len(page)
    return f"{count:,} events read and decoded: {_a_million(perf_counter() - began, count)}"


def _rebuilding(views: Views, *names: str) -> str:
    began = perf_counter()
    events = views.rebuild(*names)
    took = _a_million(perf_counter() - began, events)
    return f"{', '.join(names) or 'all tables'} rebuilt: {took}, {_most_memory()}"


def _a_million(seconds: float, events: int) -> str:
    return f"{seconds:.1f} s, {seconds / events * 1_000_000:.1f} s a million"


def _most_memory() -> str:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"at most {most:,.0f} MB"


def main(settings: Settings = FULL) -> None:
    """Measures on SQLite and PostgreSQL."""
    runs, shown = settings.runs, []
    with sqlite_files() as sqlite, postgres_databases(durable=True) as postgres:
        for name, fresh in (("SQLite", sqlite), ("PostgreSQL", postgres)):
            found, filled = measure(fresh, settings)
            for line in filled:
                write(f"{name}: {line}")
            for question, (half, whole) in found.items():
                ratio = f"{whole / half:.2f}"
                shown.append((name, question, f"{half:.1f}", f"{whole:.1f}", ratio))
    header = ("database", "question", f"{runs // 2:,} runs, ms", f"{runs:,} runs, ms", "ratio")
    table("Asking. Aim: under 100 ms, and no slower when the runs double", header, shown)


if __name__ == "__main__":
    write(machine())
    main(Settings(int(sys.argv[1])) if len(sys.argv) > 1 else FULL)
