"""Many rows into a table at once, in one statement that is compiled once.

SQLite gets the rows through `executemany`. PostgreSQL gets them as one JSON text: a driver's
`executemany` pipelines, and a long pipeline over a Unix socket can hang.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from pydantic_core import to_json
from sqlalchemy import JSON, Connection, Dialect, Table, Text, bindparam, cast, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.expression import literal_column

from projections.schema import UtcDateTime, utc_text

_PG_ROWS = 1000

_Insert = TypeVar("_Insert", sqlite.Insert, postgresql.Insert)


def upsert(
    connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]], guard: str | None = None
) -> None:
    """Inserts `rows`, or overwrites those with the same key.

    Each row has all columns of the table in their order, its moments in UTC. With `guard`, a
    row is overwritten only by one whose column of that name is greater.
    """
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        statement = _sqlite_statement(table, guard, connection.dialect)
        connection.exec_driver_sql(statement, _sqlite_rows(table, rows))
        return
    # Plain texts: SQLAlchemy's own kind of name is slow to encode.
    names = [str(column.name) for column in table.columns]
    for start in range(0, len(rows), _PG_ROWS):
        page = [dict(zip(names, row, strict=True)) for row in rows[start : start + _PG_ROWS]]
        connection.execute(_postgresql_statement(table, guard), {"rows": json_text(page)})


def json_text(value: Any) -> str:
    """The JSON of `value` that every database takes: no NUL in a text, no NaN, no infinity."""
    encoded = to_json(value, inf_nan_mode="strings").decode()
    # The text may also be a backslash that somebody wrote before "u0000".
    if "\\u0000" in encoded and (storable := _without_nul(value)) != value:
        return json_text(storable)
    return encoded


def _without_nul(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\x00", "\ufffd")
        case dict():
            return {_without_nul(key): _without_nul(member) for key, member in value.items()}
        case list() | tuple():
            return [_without_nul(member) for member in value]
        case _:
            return value


def _sqlite_rows(table: Table, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    converters = _sqlite_converters(table)
    converted = []
    for row in rows:
        values = list(row)
        for index, convert in converters:
            values[index] = convert(values[index])
        converted.append(tuple(values))
    return converted


@lru_cache
def _sqlite_converters(table: Table) -> list[tuple[int, Callable[[Any], str | None]]]:
    converters: list[tuple[int, Callable[[Any], str | None]]] = []
    for index, column in enumerate(table.columns):
        if isinstance(column.type, UtcDateTime):
            converters.append((index, utc_text))
        elif isinstance(column.type, JSON):
            converters.append((index, json_text))
    return converters


@lru_cache
def _sqlite_statement(table: Table, guard: str | None, dialect: Dialect) -> str:
    insert = _or_overwrite(sqlite.insert(table), table, guard)
    return str(insert.compile(dialect=dialect, column_keys=table.columns.keys()))


@lru_cache
def _postgresql_statement(table: Table, guard: str | None) -> postgresql.Insert:
    names = table.columns.keys()
    given = func.json_populate_recordset(
        literal_column(f"NULL::{table.name}"),
        cast(bindparam("rows", type_=Text), postgresql.JSON),
    ).table_valued(*names, name="given")
    insert = postgresql.insert(table).from_select(names, select(*(given.c[it] for it in names)))
    return _or_overwrite(insert, table, guard)


def _or_overwrite(insert: _Insert, table: Table, guard: str | None) -> _Insert:
    new = {column.name: insert.excluded[column.name] for column in table.columns}
    keys = [column.name for column in table.primary_key]
    return insert.on_conflict_do_update(
        index_elements=keys,
        set_={name: value for name, value in new.items() if name not in keys},
        where=None if guard is None else new[guard] > table.c[guard],
    )
