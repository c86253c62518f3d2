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
from tests.benchmarks.report import machine, middle, table, take_turns, write
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
    """Returns the questions by their names."""
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
    with (
        closing(open_event_store("memory://")) as store,
        Views(fresh(), store=store) as plain,
        Views(fresh(), store=store) as odd,
    ):
        fill(store, settings.runs)
        for views in (plain, odd):
            views.upgrade()
            views.catch_up()
        rows = plain.usage(by="day")
        record_extreme_runs(store)
        odd.catch_up()
        assert [it for it in odd.usage(by="day") if it in rows] == rows
        asked = zip(questions(plain).items(), questions(odd).values(), strict=True)
        return {
            name: _take_turns(ask_plain, ask_odd, settings.rounds)
            for (name, ask_plain), ask_odd in asked
        }


def _take_turns(
    plain: Callable[[], object], odd: Callable[[], object], rounds: int
) -> tuple[float, float]:
    taken = take_turns({"plain": lambda _: _time(plain), "odd": lambda _: _time(odd)}, rounds)
    return middle(taken["plain"]), middle(taken["odd"])


def _time(ask: Callable[[], object]) -> float:
    began = perf_counter()
    assert ask()
    return (perf_counter() - began) * 1000


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
