"""Fresh databases to measure on: SQLite files, and PostgreSQL with and without fsync."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from tests.support.postgres import running_postgres

_DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}

# Gives the URL of another database, empty and never given before.
Fresh = Callable[[], str]


@contextmanager
def sqlite_files() -> Iterator[Fresh]:
    """SQLite files in one folder on the disk, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="runfold-bench-") as folder:
        numbers = count(1)
        yield lambda: f"sqlite:///{Path(folder, f'{next(numbers)}.db')}"


@contextmanager
def postgres_databases(*, durable: bool) -> Iterator[Fresh]:
    """Databases of a server of our own; `durable` undoes the settings that spare tests the disk."""
    with running_postgres(_DURABLE if durable else {}) as server:
        numbers = count(1)

        def fresh() -> str:
            name = f"bench_{next(numbers)}"
            server.execute(f"CREATE DATABASE {name} TEMPLATE template0")
            return server.url(name)

        yield fresh


def sqlite_file(url: str) -> str:
    """The path in the URL of an SQLite file."""
    return url.removeprefix("sqlite:///")
