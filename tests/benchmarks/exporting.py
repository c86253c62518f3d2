"""The table `runs` exported in each format, beside a driver that reads its rows and drops them.

The rows are those of simulated runs, each copied many times with a key of its own. Each way is
measured in a process of its own; the memory is that of the process at most, above what it had
when the libraries were loaded and nothing was read.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import cast

import psycopg
from pyarrow import parquet
from sqlalchemy import text

from projections import Views
from projections.database.engine import open_engine
from projections.database.schema import runs
from projections.export.formats import FORMATS, Format
from tests.benchmarks.databases import postgres_databases, sqlite_file, sqlite_files
from tests.benchmarks.report import machine, most_memory, table, write
from tests.benchmarks.size import fill

_RAW = "raw reading"
_ROWS_AT_ONCE = 2_000


@dataclass(frozen=True)
class Settings:
    """Numbers of rows, each made of copies of so many simulated runs, and ways to read them."""

    rows: Sequence[int] = (250_000, 1_000_000)
    simulated: int = 1_000
    ways: Sequence[str] = (_RAW, *FORMATS)
    warm_up: bool = True


FULL = Settings()
TINY = Settings(rows=(400,), simulated=20, ways=(_RAW, "parquet"), warm_up=False)


def copy_rows(url: str, copies: int) -> None:
    """Adds so many copies of each row of `runs`."""
    columns = ", ".join(it.name for it in runs.c if it.name != "run_key")
    engine = open_engine(url)
    with engine.begin() as connection:
        # Of no use here, and what filling spends its time on.
        for index in runs.indexes:
            connection.execute(text(f"DROP INDEX {index.name}"))
        connection.execute(
            text(
                "WITH RECURSIVE copy(number) AS "
                "(SELECT 1 UNION ALL SELECT number + 1 FROM copy WHERE number < :copies) "
                f"INSERT INTO runs (run_key, {columns}) "
                f"SELECT run_key || '-' || number, {columns} FROM runs CROSS JOIN copy"
            ),
            {"copies": copies},
        )
    engine.dispose()


def read_raw(url: str) -> int:
    """Reads all rows by the driver alone, in the same order and as many at once."""
    query, count = "SELECT * FROM runs ORDER BY run_key", 0
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(sqlite_file(url))) as connection:
            cursor = connection.execute(query)
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                count += len(rows)
        return count
    with psycopg.connect(url) as server, server.cursor("raw") as named:
        named.execute(f'{query} COLLATE "C"')
        while found := named.fetchmany(_ROWS_AT_ONCE):
            count += len(found)
    return count


def measure(url: str, way: str, file: Path) -> None:
    """Goes one way, and writes what it took as JSON; for a process of its own."""
    assert parquet
    before, began = most_memory(), perf_counter()
    if way == _RAW:
        count = read_raw(url)
    else:
        with Views(url) as views:
            count = views.export("runs", file, format=cast("Format", way))
    seconds = perf_counter() - began
    size = file.stat().st_size if file.exists() else 0
    found = {"seconds": seconds, "memory": most_memory() - before, "rows": count, "bytes": size}
    write(json.dumps(found))


def _in_a_process(url: str, way: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="runfold-bench-") as folder:
        file = str(Path(folder, "runs"))
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.exporting", url, way, file],
            capture_output=True,
            text=True,
            check=True,
        )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main(settings: Settings = FULL) -> None:
    """Measures on SQLite and PostgreSQL."""
    shown = []
    with sqlite_files() as sqlite, postgres_databases(durable=False) as postgres:
        for name, fresh in (("SQLite", sqlite), ("PostgreSQL", postgres)):
            for number in settings.rows:
                url = fresh()
                fill(url, settings.simulated)
                copy_rows(url, number // settings.simulated - 1)
                if settings.warm_up:
                    _in_a_process(url, _RAW)
                floor = 0.0
                for way in settings.ways:
                    found = _in_a_process(url, way)
                    assert found["rows"] == number
                    floor = floor or found["seconds"]
                    shown.append(
                        (
                            name,
                            f"{number:,}",
                            way,
                            f"{number / found['seconds']:,.0f}",
                            f"{found['seconds'] / floor:.1f}",
                            f"{found['memory'] / 1024:.0f}",
                            f"{found['bytes'] / number:.0f}",
                        )
                    )
    header = ("database", "rows", "way", "rows/s", "times the raw", "MiB above", "bytes a row")
    table("Exporting runs. Aim: memory does not grow with their number", header, shown)


if __name__ == "__main__":
    if sys.argv[1:]:
        measure(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    else:
        write(machine())
        main()
