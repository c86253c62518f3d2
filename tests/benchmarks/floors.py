"""The floors: rows that are encoded already, inserted by nothing but the driver.

The table has our columns and our keys, and a commit is as durable as ours.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

import psycopg

from tests.benchmarks.databases import sqlite_file
from tests.benchmarks.workload import Arrival
from tracker.event_store.codec import encode

Row = tuple[str, int, str, bytes]

_COLUMNS = "(originator_id, originator_version, topic, state)"


def rows(batch: Sequence[Arrival]) -> list[Row]:
    """A batch as the rows that we would store of it."""
    return [(each.stream, each.version, *encode(each.event)) for each in batch]


class SqliteFloor:
    """`executemany` on a connection in WAL with full durability."""

    def __init__(self, url: str) -> None:
        self._connection = sqlite3.connect(sqlite_file(url), isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute(
            "CREATE TABLE raw_events (position INTEGER PRIMARY KEY AUTOINCREMENT, "
            "originator_id TEXT NOT NULL, originator_version INTEGER NOT NULL, "
            "topic TEXT NOT NULL, state BLOB NOT NULL, "
            "UNIQUE (originator_id, originator_version))"
        )

    def ways(self) -> dict[str, Callable[[Sequence[Row]], None]]:
        """Each way to insert a batch in one transaction."""
        return {"raw executemany": self._executemany}

    def count(self) -> int:
        """How many rows it holds."""
        return int(self._connection.execute("SELECT count(*) FROM raw_events").fetchone()[0])

    def close(self) -> None:
        self._connection.close()

    def _executemany(self, batch: Sequence[Row]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(f"INSERT INTO raw_events {_COLUMNS} VALUES (?,?,?,?)", batch)
        self._connection.execute("COMMIT")


class PostgresFloor:
    """`executemany`, one statement of arrays, and COPY."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute(
            "CREATE TABLE raw_events (position bigserial PRIMARY KEY, "
            "originator_id text NOT NULL, originator_version bigint NOT NULL, "
            "topic text NOT NULL, state bytea NOT NULL, "
            "UNIQUE (originator_id, originator_version))"
        )

    def ways(self) -> dict[str, Callable[[Sequence[Row]], None]]:
        """Each way to insert a batch in one transaction."""
        return {
            "raw executemany": self._executemany,
            "raw unnest": self._unnest,
            "raw COPY": self._copy,
        }

    def count(self) -> int:
        """How many rows it holds."""
        found = self._connection.execute("SELECT count(*) FROM raw_events").fetchone()
        assert found is not None
        return int(found[0])

    def close(self) -> None:
        self._connection.close()

    def _executemany(self, batch: Sequence[Row]) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO raw_events {_COLUMNS} VALUES (%s,%s,%s,%b)", batch)

    def _unnest(self, batch: Sequence[Row]) -> None:
        with self._connection.transaction():
            self._connection.execute(
                f"INSERT INTO raw_events {_COLUMNS} SELECT * FROM "
                "unnest(%b::text[], %b::bigint[], %b::text[], %b::bytea[])",
                [list(column) for column in zip(*batch, strict=True)],
            )

    def _copy(self, batch: Sequence[Row]) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:  # noqa: SIM117
            with cursor.copy(f"COPY raw_events {_COLUMNS} FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(("text", "int8", "text", "bytea"))
                for row in batch:
                    copy.write_row(row)
