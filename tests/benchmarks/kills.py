"""A thousand `kill -9` of real processes: of demos on SQLite files, and of workers on PostgreSQL.

Nothing acknowledged may be lost or doubled, and all must be as the service says.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from tests.benchmarks.databases import postgres_databases
from tests.benchmarks.report import machine, table, write
from tests.benchmarks.workers import show
from tests.support.demo_kills import kill_demo
from tests.support.many_workers import run_workers


@dataclass(frozen=True)
class Settings:
    """Kills on files, those of one file, and kills of workers, one every so many seconds."""

    demo_kills: int = 700
    kills_per_file: int = 50
    worker_kills: int = 300
    kill_every: float = 1.5


FULL = Settings()
TINY = Settings(demo_kills=2, kills_per_file=2, worker_kills=1, kill_every=2.0)


def kill_demos(settings: Settings) -> None:
    """Kills demos, file after file."""
    began, runs, kills = perf_counter(), 0, 0
    while kills < settings.demo_kills:
        with tempfile.TemporaryDirectory() as folder:
            runs += kill_demo(Path(folder), settings.kills_per_file)
        kills += settings.kills_per_file
    rows = [(str(kills), str(runs), f"{perf_counter() - began:.0f} s")]
    table("Demos on SQLite, killed", ("kills", "runs, all true", "time"), rows)


def kill_workers(settings: Settings) -> None:
    """Kills workers that share a PostgreSQL database."""
    seconds = (settings.worker_kills + 1.5) * settings.kill_every
    with postgres_databases(durable=False) as fresh, tempfile.TemporaryDirectory() as folder:
        outcome = run_workers(
            fresh(), Path(folder), seconds=seconds, kill_every=settings.kill_every
        )
    show("Workers on PostgreSQL, killed", outcome)


def main(settings: Settings = FULL) -> None:
    """Kills both."""
    write("\n# Kills: nothing acknowledged is lost or doubled")
    kill_demos(settings)
    kill_workers(settings)


if __name__ == "__main__":
    write(machine())
    main()
