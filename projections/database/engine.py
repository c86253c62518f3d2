"""Engines from URLs, and the translation of a driver's errors to ours."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from projections.database.refusals import is_unavailable
from projections.folding.json_text import read_json
from tracker.errors import SettingsError, StoreUnavailable, ViewsError
from tracker.event_store.database_file import create_private, identify

# How long a statement of SQLite waits for another writer.
BUSY_SECONDS = 30.0

# The page cache of each connection to SQLite; memory is only taken as it is used.
_CACHE_KIB = 32_768

# The function on SQLite that returns a list with the member of a JSON object, as JSON.
JSON_MEMBER = "runfold_json_member"

_FORMS = "use sqlite:///file.db, sqlite:////path/file.db or postgresql://user@host/database"


def open_engine(url: str, *, create: bool = False) -> Engine:
    """Returns an engine for `url`, which connects on its first use.

    With `create`, an SQLite file that does not exist is created; otherwise its first use raises
    StoreUnavailable. Raises SettingsError for a URL that cannot be used.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(Path(parsed.database or ""), create)
    if find_spec("psycopg") is None:
        raise SettingsError('PostgreSQL needs its driver: pip install "runfold[postgres]"')
    from tracker.event_store.postgres_connections import connect_patiently
    from tracker.event_store.postgres_schema import check_schema
    from tracker.event_store.postgres_url import engine_settings

    parsed, arguments, size = engine_settings(parsed)
    engine = create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        connect_args=arguments,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=size,
        # A call may need a second connection while it has one.
        max_overflow=size,
        json_deserializer=read_json,
    )

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: object, _record: object, _args: object, settings: Any) -> Any:
        return connect_patiently(settings)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        # Whatever the zone of the server, the database or the role: the driver refuses a time of
        # the year 1 that is in the year before it there, and hours are those of UTC. A statement,
        # since options of the URL would replace those of a connection, and poolers refuse them.
        connection.autocommit = True
        connection.execute("SET TIME ZONE 'UTC'")
        check_schema(connection)
        connection.autocommit = False

    return engine


@contextmanager
def translate_errors(engine: Engine) -> Iterator[None]:
    """Raises a driver's errors as StoreUnavailable or ViewsError, without passwords.

    Raises SettingsError for a text that no database accepts.
    """
    try:
        yield
    except UnicodeEncodeError as error:
        raise SettingsError(
            f"{error.object!r} cannot be looked up: it contains bytes that are not UTF-8"
        ) from None
    except PoolTimeoutError as error:
        raise StoreUnavailable(
            f"no connection to {_display(engine.url)} was free: raise pool_size in the URL, or "
            f"use fewer threads ({error.args[0]})"
        ) from None
    except DBAPIError as error:
        message = str(error.orig).strip() or type(error.orig).__name__
        for secret in _secrets(engine.url):
            message = message.replace(secret, "***")
        place = _display(engine.url)
        if is_unavailable(error):
            raise StoreUnavailable(f"the database {place} cannot be used: {message}") from None
        raise ViewsError(f"the tables in {place} cannot be read or written: {message}") from error


@contextmanager
def read_snapshot(connection: Connection) -> Iterator[Connection]:
    """Yields the connection; within the block it sees the database as at its first statement."""
    if connection.dialect.name == "sqlite":
        # The driver begins no transaction for a read.
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
        raise SettingsError(f"this is not a database URL: {_FORMS}") from None
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        return parsed
    if parsed.get_backend_name() != "sqlite":
        raise SettingsError(f"{parsed.drivername!r} is not a supported database: {_FORMS}")
    if parsed.database in (None, "", ":memory:") or parsed.host or parsed.query:
        raise SettingsError(f"the URL must name a database file: {_FORMS}")
    return parsed


def _sqlite_engine(path: Path, create: bool) -> Engine:
    # Absolute: the process may change its folder before the next connection.
    file = path.absolute()

    def connect() -> sqlite3.Connection:
        if not create and not file.exists():
            raise StoreUnavailable(
                f"no database at {path}: check --db, or create one with `runfold import` or `watch`"
            )
        if create:
            create_private(file)
        # A mode without `c`, so that a file that is deleted meanwhile is not created again.
        location = f"file:{quote(str(file))}?mode={'rwc' if create else 'rw'}"
        return sqlite3.connect(location, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)

    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        creator=connect,
        hide_parameters=True,
        json_deserializer=read_json,
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, record: Any) -> None:
        record.info["file"] = identify(file)
        # A committed transaction survives a power failure.
        connection.execute("PRAGMA synchronous=FULL").close()
        # Run keys arrive in random order, so that many pages of the indexes are needed at once.
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}").close()
        connection.create_function(JSON_MEMBER, 2, _read_member, deterministic=True)

    @event.listens_for(engine, "checkout")
    def _check_file(_connection: object, record: Any, _proxy: object) -> None:
        # A connection to a file that was removed or replaced writes where nobody reads.
        if record.info["file"] != identify(file):
            raise DisconnectionError

    return engine


def _read_member(document: str, key: str) -> str | None:
    found = json.loads(document)
    return json.dumps([found[key]]) if key in found else None


def _display(url: URL) -> str:
    place = URL.create(url.get_backend_name(), url.username, None, url.host, url.port, url.database)
    return place.render_as_string()


def _secrets(url: URL) -> list[str]:
    passwords = [url.password, url.query.get("password")]
    return [str(it) for it in passwords if it]
