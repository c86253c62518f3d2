"""The way to the database: URLs to engines, and a driver's errors to ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from tracker.errors import SettingsError, StoreUnavailable, ViewsError

# How long a statement waits for another writer.
BUSY_SECONDS = 30.0

# Of pages of a file, for each connection; as much as is used of it.
_CACHE_KIB = 32_768

_FORMS = "use sqlite:///file.db, sqlite:////path/file.db or postgresql://user@host/database"


def open_engine(url: str, *, create: bool = False) -> Engine:
    """An engine for `url`; nothing is connected before its first use.

    With `create`, an SQLite file that does not exist is made; else using it raises
    StoreUnavailable. Raises SettingsError where the URL cannot be used.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(Path(parsed.database or ""), create)
    if find_spec("psycopg") is None:
        raise SettingsError('PostgreSQL needs its driver: pip install "runfold[postgres]"')
    parsed = parsed.set(drivername="postgresql+psycopg")
    return create_engine(parsed, hide_parameters=True, pool_pre_ping=True)


@contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """Turns a driver's errors into StoreUnavailable or ViewsError, with no password in them."""
    try:
        yield
    except DBAPIError as error:
        words = str(error.orig).strip() or type(error.orig).__name__
        for secret in _secrets(engine.url):
            words = words.replace(secret, "***")
        place = _shown(engine.url)
        if isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated:
            raise StoreUnavailable(f"the database {place} cannot be used: {words}") from None
        raise ViewsError(f"the tables in {place} cannot be read or written: {words}") from error


@contextmanager
def snapshot(connection: Connection) -> Iterator[Connection]:
    """The connection, which until the end sees the database as it was at its first statement."""
    if connection.dialect.name == "sqlite":
        # The driver begins no transaction for reading by itself.
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.exec_driver_sql("BEGIN")
        try:
            yield connection
        finally:
            connection.exec_driver_sql("ROLLBACK")
    else:
        yield connection.execution_options(isolation_level="REPEATABLE READ")


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise SettingsError(f"this is not the URL of a database: {_FORMS}") from None
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        return parsed
    if parsed.get_backend_name() != "sqlite":
        raise SettingsError(f"{parsed.drivername!r} is no database that runfold knows: {_FORMS}")
    if parsed.database in (None, "", ":memory:") or parsed.host or parsed.query:
        raise SettingsError(f"the tables live in a file, which the URL must name: {_FORMS}")
    return parsed


def _sqlite_engine(path: Path, create: bool) -> Engine:
    def connect() -> sqlite3.Connection:
        if not create and not path.exists():
            raise StoreUnavailable(
                f"no database at {path}: check --db, or make one with `runfold import` or `watch`"
            )
        # A mode without `c`, so that a file that goes away meanwhile is not made again.
        location = f"file:{quote(str(path))}?mode={'rwc' if create else 'rw'}"
        return sqlite3.connect(location, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)

    engine = create_engine(
        URL.create("sqlite", database=str(path)), creator=connect, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        # What is acknowledged is safe.
        connection.execute("PRAGMA synchronous=FULL").close()
        # The ends of the indexes stay in memory: keys of runs come in no order.
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}").close()

    return engine


def _shown(url: URL) -> str:
    place = URL.create(url.get_backend_name(), url.username, None, url.host, url.port, url.database)
    return place.render_as_string()


def _secrets(url: URL) -> list[str]:
    given = [url.password, url.query.get("password")]
    return [str(secret) for secret in given if secret]
