"""Connections to PostgreSQL: none waits without end, and none leaves settings to other clients."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from selectors import EVENT_READ, DefaultSelector
from time import monotonic
from typing import Any

import psycopg
from eventsourcing.persistence import OperationalError
from eventsourcing.postgres import ConnectionPool, PostgresDatastore
from psycopg.rows import dict_row, tuple_row

# A statement that takes longer has lost its server: those of the event store take milliseconds,
# and a connection to a lost host would otherwise be waited for without end.
STATEMENT_SECONDS = 15.0
# The same while a tracker is being left.
_HURRIED_SECONDS = 3.0
# A connection that was idle for longer is tried out before it is used: servers, proxies and
# firewalls end idle connections, some without telling.
_TRUSTED_SECONDS = 1.0
_TRY_SECONDS = 5.0
# The bound of a question whose server cannot be asked about it, because a pooler is between.
_POOLED_SECONDS = 600.0
# An answer that is on its way arrives within this time.
_ARRIVAL_SECONDS = 1.0
# The longest wait for a connection of the pool.
POOL_TIMEOUT_SECONDS = 5.0
_CLOSE_SECONDS = 1.0

# A statement, since a pooler of connections may refuse options.
SET_UTC = b"SET TIME ZONE 'UTC'"


class Patience:
    """The seconds that connections wait for their server; fewer once a tracker is being left."""

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = STATEMENT_SECONDS if seconds is None else seconds
        self.is_hurried = False
        # Connections that were used last before this time are not trusted.
        self.suspects_before = 0.0

    def hurry(self) -> None:
        """Shortens all waits, those that have begun included."""
        self.is_hurried = True
        self.seconds = min(self.seconds, _HURRIED_SECONDS)


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed, with an OperationalError, if its server does not answer."""

    patience = Patience()
    used_at = 0.0

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **more: Any) -> Any:
        """Waits for an answer of the server, as long as the patience lasts."""
        try:
            return super().wait(self._limit(gen), *args, **more)
        finally:
            self.used_at = monotonic()

    def _limit(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        started = checked = monotonic()
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and monotonic() - checked > self.patience.seconds:
                    if not self._is_lost():
                        checked = monotonic()
                        continue
                    self.patience.suspects_before = started
                    self.close()
                    raise psycopg.OperationalError(
                        f"the server did not answer within {monotonic() - started:.0f} s"
                    )
                wanted = gen.send(ready)
        except StopIteration as result:
            return result.value

    def _is_lost(self) -> bool:
        """True if the answer is not to be waited for any longer."""
        return True


class PatientConnection(BoundedConnection):
    """A connection that waits as long as its server works at the statement.

    The server is asked on another connection. Behind a pooler, which has connections of its own to
    the server, it waits ten minutes.
    """

    settings: dict[str, Any]

    def _is_lost(self) -> bool:
        try:
            with BoundedConnection.connect(
                **{**self.settings, "connect_timeout": int(_TRY_SECONDS)}, autocommit=True
            ) as other:
                other.patience = Patience(_TRY_SECONDS)
                other.row_factory = tuple_row
                found = other.execute(
                    "SELECT FROM pg_stat_activity WHERE pid = %s AND state = 'active'",
                    (self.info.backend_pid,),
                ).fetchall()
        except psycopg.Error:
            return True
        return not found and not self._is_arriving()

    def _is_arriving(self) -> bool:
        with DefaultSelector() as selector:
            selector.register(self.fileno(), EVENT_READ)
            return bool(selector.select(_ARRIVAL_SECONDS))


def connect_patiently(settings: dict[str, Any]) -> PatientConnection:
    """Connects for questions, which may take long. Raises psycopg.Error."""
    connection = PatientConnection.connect(**settings, autocommit=True)
    connection.settings, connection.patience = settings, Patience()
    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute("SELECT pg_backend_pid()").fetchone()
    if row != (connection.info.backend_pid,):
        connection.patience = Patience(_POOLED_SECONDS)
    connection.autocommit = False
    return connection


def connect(settings: dict[str, Any], patience: Patience, **more: Any) -> BoundedConnection:
    """Connects outside of a pool. Raises psycopg.Error."""
    connection = BoundedConnection.connect(**{**settings, **more})
    connection.patience = patience
    return connection


class BoundedDatastore(PostgresDatastore):
    """The library's connections, bounded, in UTC whatever the server's own time zone is."""

    def __init__(self, settings: dict[str, Any], pool_size: int) -> None:
        names = ("dbname", "host", "port", "user", "password")
        super().__init__(
            **{name: settings[name] for name in names},
            originator_id_type="text",
        )
        self.patience = patience = Patience()
        self._is_given_up = False

        def configure(connection: Any) -> None:
            connection.patience = patience
            connection.autocommit = True
            # Whatever the default of the role is: a snapshot from before the lock is an old one.
            connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            connection.execute(SET_UTC)

        self.pool = ConnectionPool(
            connection_class=BoundedConnection,
            kwargs={**settings, "row_factory": dict_row},
            min_size=1,
            max_size=pool_size,
            open=False,
            configure=configure,
            check=_check,
            timeout=POOL_TIMEOUT_SECONDS,
            # A waiting attempt to connect again holds up the next one.
            reconnect_timeout=POOL_TIMEOUT_SECONDS,
        )

    @contextmanager
    def get_connection(self) -> Iterator[Any]:
        """Yields a connection of the pool. Raises PersistenceError."""
        if self._is_given_up:
            raise OperationalError("the database did not answer while the tracker was being left")
        try:
            with super().get_connection() as connection:
                yield connection
        except OperationalError:
            self._is_given_up = self.patience.is_hurried
            raise

    def hurry(self) -> None:
        """Shortens all waits: the tracker is being left."""
        self.patience.hurry()
        self.pool.timeout = _HURRIED_SECONDS

    def close(self) -> None:
        """Closes the connections."""
        if hasattr(self, "patience"):
            self.pool.close(timeout=_CLOSE_SECONDS)


def _check(connection: Any) -> None:
    """Raises OperationalError unless an idle connection is alive."""
    patience = connection.patience
    if connection.used_at < patience.suspects_before:
        connection.close()
        raise psycopg.OperationalError("the server did not answer on other connections")
    if monotonic() - connection.used_at < _TRUSTED_SECONDS:
        return
    connection.patience = trial = Patience(min(_TRY_SECONDS, patience.seconds))
    try:
        connection.execute("")
    finally:
        connection.patience = patience
        patience.suspects_before = max(patience.suspects_before, trial.suspects_before)
