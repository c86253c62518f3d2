"""Time of each page, the report and the view of the terminal, with a million runs.

A writer appends beside them, and the plans of all their statements are looked at.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event, Thread
from time import perf_counter

from starlette.testclient import TestClient

from projections import Views
from projections.database.engine import open_engine
from projections.web import terminal_page
from projections.web.app import Dashboard
from projections.web.page_maker import PageMaker
from projections.web.report import make_report
from tests.benchmarks.databases import postgres_databases, sqlite_files
from tests.benchmarks.many_runs import FIRST
from tests.benchmarks.multiplied_runs import HOURS, fill_multiplied
from tests.benchmarks.report import machine, middle, settle, table, write
from tests.support.plans import find_scans, noted_statements
from tracker.core.events import RunCreated
from tracker.event_store import Append, open_event_store

# Milliseconds of a page and of the report, and bytes of it, with a million runs.
MOST_PAGE, MOST_REPORT, MOST_BYTES = 300.0, 3_000.0, 500_000


@dataclass(frozen=True)
class Settings:
    """Runs that go the whole way, copies of them, rounds, and seconds that the writer writes."""

    runs: int = 20_000
    copies: int = 49
    rounds: int = 5
    seconds: float = 2.0

    @property
    def now(self) -> datetime:
        """Returns the moment at which the last run has begun."""
        return FIRST + timedelta(hours=HOURS * (self.copies + 1))


FULL = Settings()
TINY = Settings(runs=60, copies=2, rounds=1, seconds=0.1)


def list_pages(views: Views) -> dict[str, str]:
    """Returns the pages by their names."""
    run = max(views.runs(limit=200), key=lambda it: it.total_seconds or 0)
    return {
        "Overview": "/",
        "Overview, 24 h": "/?since=24h",
        "Overview, 28 days": "/?since=28d",
        "Overview, all": "/?since=all",
        "Runs": "/runs",
        "Runs by time": "/runs?sort=time",
        "Runs by tokens": "/runs?sort=tokens",
        "Runs by dollars": "/runs?sort=dollars",
        "Runs that failed": "/runs?outcome=failed&since=28d",
        "Runs of one model": "/runs?model=gpt-4o&sort=dollars",
        "Runs with metadata": "/runs?metadata=team=team_3",
        "Runs with none": "/runs?metadata=team=nobody&since=all",
        "An id": f"/runs?q={run.run_id}",
        "Run": f"/runs/{run.source}/{run.run_id}",
        "Thread": f"/threads/{run.source}/{run.thread_id}",
        "Compare": "/compare",
        "Compare models, all": "/compare?by=model&since=all",
        "Compare by metadata": "/compare?by=metadata.team",
        "Health": "/health",
    }


def measure(url: str, settings: Settings) -> list[tuple[str, float, int]]:
    """Returns each page with the middle of its milliseconds, and its bytes."""
    found = []
    with Views(url) as views:
        maker = PageMaker(views, tz="Europe/Berlin", clock=lambda: settings.now)
        served = TestClient(Dashboard(maker))

        def ask(path: str) -> int:
            answer = served.get(path)
            assert answer.status_code == 200, answer.text
            if "took longer than" in answer.text:
                write(f"took longer than it may: {path}")
            return len(answer.content)

        asked: dict[str, Callable[[], int]] = {
            name: (lambda path=path: ask(path))  # type: ignore[misc]
            for name, path in list_pages(views).items()
        }
        asked["top"] = lambda: sum(
            map(len, terminal_page.make_lines(views, [], 80, 24, maker=maker))
        )
        asked["report"] = lambda: len(make_report(views))
        asked["report, all"] = lambda: len(make_report(views, since="all"))
        with noted_statements(views._engine) as statements:
            for name, look in asked.items():
                taken, size = [], look()
                for _ in range(settings.rounds):
                    settle()
                    began = perf_counter()
                    size = look()
                    taken.append((perf_counter() - began) * 1000)
                found.append((name, middle(taken), size))
    _look_at_plans(url, statements)
    return found


def _look_at_plans(url: str, statements: dict[str, object]) -> None:
    engine = open_engine(url)
    with engine.begin() as connection:
        scans = find_scans(connection, statements)
        few = connection.exec_driver_sql("SELECT count(*) FROM runs").scalar_one() < 10_000
    engine.dispose()
    for line, statement in scans:
        # PostgreSQL is right to read so few rows without an index.
        if not few:
            write(f"whole table: {line} in {statement}")
    write(f"{len(statements)} statements, {0 if few else len(scans)} of which read a whole table")


def measure_writer(url: str, settings: Settings) -> tuple[float, float]:
    """Returns the longest milliseconds of an append, alone and beside pages that are made."""
    with Views(url) as views:
        served = TestClient(Dashboard(PageMaker(views, clock=lambda: settings.now)))

        def look(until: float) -> None:
            while perf_counter() < until:
                assert served.get("/").status_code == 200
                assert served.get("/compare").status_code == 200

        return _write_beside(url, settings, None), _write_beside(url, settings, look)


def _write_beside(url: str, settings: Settings, look: Callable[[float], None] | None) -> float:
    stop, longest = Event(), [0.0]
    kind = "beside" if look is not None else "alone"

    def append() -> None:
        with closing(open_event_store(url)) as store:
            number = 0
            while not stop.is_set():
                run_id = f"run_{kind}_{number}"
                event = RunCreated(
                    observed_at=settings.now, source="written", run_id=run_id, status="queued"
                )
                began = perf_counter()
                store.append([Append(f"written:{run_id}", 0, [event])])
                # The first one opens the connection.
                if number:
                    longest[0] = max(longest[0], (perf_counter() - began) * 1000)
                number += 1
                stop.wait(0.005)

    writer = Thread(target=append)
    writer.start()
    if look is None:
        stop.wait(settings.seconds)
    else:
        look(perf_counter() + settings.seconds)
    stop.set()
    writer.join()
    return longest[0]


def main(settings: Settings = FULL) -> None:
    """Measures on SQLite and PostgreSQL."""
    shown: list[tuple[str, ...]] = []
    with sqlite_files() as sqlite, postgres_databases(durable=True) as postgres:
        for name, fresh in (("SQLite", sqlite), ("PostgreSQL", postgres)):
            url = fresh()
            fill_multiplied(url, settings.runs, settings.copies)
            for page, taken, size in measure(url, settings):
                shown.append((name, page, f"{taken:.0f}", f"{size:,}"))
                assert size < MOST_BYTES or not page.startswith("report"), page
            alone, beside = measure_writer(url, settings)
            write(f"{name}: the longest append took {alone:.1f} ms alone, {beside:.1f} ms beside")
    runs = settings.runs * (settings.copies + 1)
    aim = f"Aim: pages under {MOST_PAGE:.0f} ms, the report under {MOST_REPORT:.0f} ms"
    table(f"Looking at {runs:,} runs. {aim}", ("database", "page", "ms", "bytes"), shown)


if __name__ == "__main__":
    write(machine())
    main(TINY if "--tiny" in sys.argv else FULL)
