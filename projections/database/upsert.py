"""Inserts and updates of many rows at once, with statements that are compiled once.

SQLite gets the rows through `executemany`. PostgreSQL gets many rows through COPY into a temporary
table, measured at eight times the speed of a single JSON text. It gets few rows one by one: the
driver's `executemany` uses a pipeline, and a long pipeline over a Unix socket can hang.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError, IntegrityError

from projections.database.schema import UtcDateTime
from projections.folding.micros import text_format, zoned_text

# From this number of rows on, COPY is faster.
_COPY_ROWS = 50


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[list[Any]],
) -> None:
    """Inserts `rows`, or overwrites those with the same key.

    Each row has all columns of the table in their order: times in microseconds, JSON and other
    texts without NUL. The lists in `rows` are changed.
    """
    _insert_or(connection, table, rows, _or_overwrite(table))


def insert(
    connection: Connection,
    table: Table,
    rows: Sequence[list[Any]],
) -> None:
    """Does the same as `upsert`, in half the time on PostgreSQL if all keys are new."""
    if connection.dialect.name == "sqlite" or len(rows) < _COPY_ROWS:
        upsert(connection, table, rows)
        return
    _times_to_text(rows, _time_indexes(table), zoned_text)
    try:
        with connection.begin_nested():
            _copy(connection, quoted(table.name), table, rows)
    except IntegrityError:
        _upsert_by_copy(connection, table, rows, _or_overwrite(table))


def add(connection: Connection, table: Table, rows: Sequence[list[Any]]) -> None:
    """Inserts `rows`, or adds their values to the row of the same key; NULL adds nothing."""
    _insert_or(connection, table, rows, _or_add(table))


def remove_zeros(connection: Connection, table: Table, keys: Sequence[list[Any]]) -> None:
    """Deletes the rows of these keys whose other values are all 0. The lists are changed."""
    if not keys:
        return
    dialect = connection.dialect.name
    _times_to_text(keys, _time_indexes(table), text_format(dialect))
    statement = _delete_zeros(table, "?" if dialect == "sqlite" else "%s")
    with _cursor(connection, statement) as cursor:
        for key in keys:
            cursor.execute(statement, key)


def quoted(name: str) -> str:
    """Returns the name of a table or column of an application as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def _insert_or(
    connection: Connection, table: Table, rows: Sequence[list[Any]], conflict: str
) -> None:
    if not rows:
        return
    dialect = connection.dialect.name
    _times_to_text(rows, _time_indexes(table), text_format(dialect))
    if dialect == "sqlite":
        statement = _statement(table, conflict, "?")
        with _cursor(connection, statement) as cursor:
            cursor.executemany(statement, rows)
    elif len(rows) < _COPY_ROWS:
        statement = _statement(table, conflict, "%s")
        with _cursor(connection, statement) as cursor:
            for row in rows:
                cursor.execute(statement, row)
    else:
        _upsert_by_copy(connection, table, rows, conflict)


def _times_to_text(
    rows: Sequence[list[Any]], indexes: Sequence[int], text: Callable[[int | None], str | None]
) -> None:
    for row in rows:
        for index in indexes:
            row[index] = text(row[index])


def _upsert_by_copy(
    connection: Connection, table: Table, rows: Sequence[list[Any]], conflict: str
) -> None:
    name = _copy_name(table)
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} "
        f"(LIKE {quoted(table.name)}) ON COMMIT DELETE ROWS"
    )
    _copy(connection, name, table, rows)
    connection.exec_driver_sql(_from_copy(table, conflict))
    # The transaction may copy more rows.
    connection.exec_driver_sql(f"TRUNCATE {name}")


def _copy(connection: Connection, name: str, table: Table, rows: Sequence[list[Any]]) -> None:
    statement = f"COPY {name} ({_names(table)}) FROM STDIN"
    with _cursor(connection, statement) as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


@contextmanager
def _cursor(connection: Connection, statement: str) -> Iterator[Any]:
    """Yields a cursor of the driver; raises its errors as those of SQLAlchemy."""
    errors = connection.dialect.loaded_dbapi.Error
    cursor = connection.connection.cursor()
    try:
        yield cursor
    except errors as error:
        dialect = connection.dialect
        raise DBAPIError.instance(statement, None, error, errors, dialect=dialect) from error
    finally:
        cursor.close()


@lru_cache
def _time_indexes(table: Table) -> tuple[int, ...]:
    types = enumerate(column.type for column in table.columns)
    return tuple(index for index, type_ in types if isinstance(type_, UtcDateTime))


def _copy_name(table: Table) -> str:
    return quoted(f"runfold_new_{table.name}")


@lru_cache
def _statement(table: Table, conflict: str, mark: str) -> str:
    values = ", ".join([mark] * len(table.columns))
    return f"{_insert(table)} VALUES ({values}) {conflict}"


@lru_cache
def _delete_zeros(table: Table, mark: str) -> str:
    keys = [f"{quoted(column.name)} = {mark}" for column in table.primary_key]
    zeros = [f"{name} = 0" for name in _others(table)]
    return f"DELETE FROM {quoted(table.name)} WHERE {' AND '.join([*keys, *zeros])}"


@lru_cache
def _from_copy(table: Table, conflict: str) -> str:
    rows = f"SELECT {_names(table)} FROM {_copy_name(table)}"
    return f"{_insert(table)} {rows} {conflict}"


def _insert(table: Table) -> str:
    return f"INSERT INTO {quoted(table.name)} ({_names(table)})"


def _names(table: Table) -> str:
    return ", ".join(quoted(column.name) for column in table.columns)


@lru_cache
def _or_overwrite(table: Table) -> str:
    new = ", ".join(f"{name} = excluded.{name}" for name in _others(table))
    return f"ON CONFLICT ({_keys(table)}) DO " + (f"UPDATE SET {new}" if new else "NOTHING")


@lru_cache
def _or_add(table: Table) -> str:
    new = ", ".join(
        f"{name} = coalesce({quoted(table.name)}.{name} + excluded.{name}, excluded.{name}, "
        f"{quoted(table.name)}.{name})"
        for name in _others(table)
    )
    return f"ON CONFLICT ({_keys(table)}) DO UPDATE SET {new}"


def _keys(table: Table) -> str:
    return ", ".join(quoted(column.name) for column in table.primary_key)


def _others(table: Table) -> list[str]:
    return [quoted(column.name) for column in table.columns if not column.primary_key]
