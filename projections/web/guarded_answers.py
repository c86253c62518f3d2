"""Answers on one connection that only reads, and in which no statement takes long."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from projections.answers import Answers
from projections.database.engine import read_snapshot, translate_errors
from tracker.errors import ViewsError

STATEMENT_SECONDS = 2.0
# How many steps of SQLite's machine lie between two looks at the clock: about a millisecond.
_STEPS = 10_000


class TooSlow(ViewsError):
    """A statement took longer than it may; the page shows the rest of its answers."""


class GuardedAnswers(Answers):
    """The answers of views, or of a past, all from one snapshot of the database.

    Nothing can be written by it. A statement that takes longer than `seconds` raises TooSlow, and
    the next question is answered from a new snapshot.
    """

    def __init__(self, answers: Answers, seconds: float = STATEMENT_SECONDS) -> None:
        self._answers, self._seconds = answers, seconds
        self._opened = ExitStack()
        self._connection: Connection | None = None
        self._deadline = 0.0

    def close(self) -> None:
        """Ends the snapshot and gives the connection back."""
        self._connection = None
        self._opened.close()

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Yields the connection, for questions of the pages' own."""
        with self._connect() as connection:
            yield connection

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        if self._connection is None:
            self._connection = self._open()
        self._deadline = monotonic() + self._seconds
        with translate_errors(self._connection.engine):
            try:
                yield self._connection
            except DBAPIError as error:
                # PostgreSQL answers nothing more in a transaction that failed.
                self.close()
                if _is_too_slow(error.orig):
                    raise TooSlow(
                        f"took longer than {self._seconds:g} s; choose a shorter range"
                    ) from None
                raise

    def _open(self) -> Connection:
        connection = self._opened.enter_context(self._answers._connect())
        if connection.dialect.name == "sqlite":
            self._opened.enter_context(self._guard_sqlite(connection))
            return self._opened.enter_context(read_snapshot(connection))
        connection = connection.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(self._seconds * 1000)}")
        return connection

    @contextmanager
    def _guard_sqlite(self, connection: Connection) -> Iterator[None]:
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA query_only=ON").close()
        driver.set_progress_handler(lambda: monotonic() > self._deadline, _STEPS)
        try:
            yield
        finally:
            driver.set_progress_handler(None, 0)
            driver.execute("PRAGMA query_only=OFF").close()

    def _database_files(self) -> Sequence[Path]:
        return self._answers._database_files()

    def _require_costs(self) -> None:
        self._answers._require_costs()

    def _now(self) -> datetime:
        return self._answers._now()


def _is_too_slow(error: object) -> bool:
    if isinstance(error, sqlite3.OperationalError):
        return str(error) == "interrupted"
    return type(error).__name__ == "QueryCanceled"
