"""Time of answers by day and hour with one run at each end of time among a hundred thousand.

They are compared with the same answers without these runs, as a ratio.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from time import perf_counter

from projections import Views
from tests.benchmarks.databases import Fresh, postgres_databases, sqlite_files
from tests.benchmarks.many_runs import fill
from tests.benchmarks.report import machine, middle, settle, table, write
from tests.support.extreme_runs import record_extreme_runs
from tracker import open_event_store


@dataclass(frozen=True)
class Settings:
    """Runs in the tables, and rounds of each question."""

    runs: int = 100_000
    rounds: int = 15


FULL = Settings()
TINY = Settings(runs=400, rounds=3)


def questions(views: Views) -> dict[str, Callable[[], object]]:
    """What is asked, by its name."""
    return {
        "usage by day": lambda: views.usage(by="day"),
        "usage by day in America/New_York": lambda: views.usage(by="day", tz="America/New_York"),
        "usage by day in Asia/Kolkata": lambda: views.usage(by="day", tz="Asia/Kolkata"),
        "usage by hour": lambda: views.usage(by="hour"),
        "timing by day": lambda: views.timing(by="day"),
        "cost by day": lambda: views.cost(by="day"),
    }


def measure(fresh: Fresh, settings: Settings) -> dict[str, tuple[float, float]]:
    """Returns the milliseconds of each question without the odd runs, and with them."""
    url = fresh()
    with closing(open_event_store(url)) as store, Views(url, store=store) as views:
        views.upgrade()
        fill(store, settings.runs)
        views.catch_up()
        rows, without = views.usage(by="day"), _ask(views, settings.rounds)
        record_extreme_runs(store)
        views.catch_up()
        assert [it for it in views.usage(by="day") if it in rows] == rows
        found = _ask(views, settings.rounds)
    return {name: (without[name], found[name]) for name in without}


def _ask(views: Views, rounds: int) -> dict[str, float]:
    taken: dict[str, float] = {}
    for name, ask in questions(views).items():
        assert ask(), name
        times = []
        for _ in range(rounds):
            settle()
            began = perf_counter()
            ask()
            times.append((perf_counter() - began) * 1000)
        taken[name] = middle(times)
    return taken


def main(settings: Settings = FULL) -> None:
    """Measures on SQLite and PostgreSQL."""
    shown = []
    with sqlite_files() as sqlite, postgres_databases(durable=False) as postgres:
        for name, fresh in (("SQLite", sqlite), ("PostgreSQL", postgres)):
            for question, (without, found) in measure(fresh, settings).items():
                ratio = found / without
                shown.append((name, question, f"{without:.1f}", f"{found:.1f}", f"{ratio:.2f}"))
    header = ("database", "question", "without, ms", "with odd runs, ms", "ratio")
    table(f"Odd times among {settings.runs:,} runs. Aim: no slower", header, shown)


if __name__ == "__main__":
    write(machine())
    main()
