"""The objects of the database under our names, by the schema in which tables are created.

Other schemas of the search path of PostgreSQL may have tables of these names: those of another
installation, or of a host.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, inspect, text

_RELATIONS = {
    "sqlite": "SELECT lower(name) FROM sqlite_master",
    "postgresql": (
        "SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
        "WHERE nspname = current_schema() UNION "
        "SELECT typname FROM pg_type JOIN pg_namespace ON pg_namespace.oid = typnamespace "
        "WHERE nspname = current_schema()"
    ),
}


def current_schema(connection: Connection) -> str | None:
    """Returns the schema in which tables are created; None on SQLite."""
    if connection.dialect.name == "sqlite":
        return None
    schema: str | None = connection.exec_driver_sql("SELECT current_schema()").scalar()
    return schema


def has_table(connection: Connection, name: str) -> bool:
    """True if the current schema has a table of that name."""
    return inspect(connection).has_table(name, schema=current_schema(connection))


def table_names(connection: Connection) -> list[str]:
    """Returns the names of the tables of the current schema."""
    return inspect(connection).get_table_names(schema=current_schema(connection))


def column_names(connection: Connection, table: str) -> set[str]:
    """Returns the names of the columns of a table of the current schema."""
    columns: list[Any] = inspect(connection).get_columns(table, schema=current_schema(connection))
    return {column["name"] for column in columns}


def find_taken_names(connection: Connection, names: Collection[str]) -> list[str]:
    """Returns those of the names that a table, view, index or type of the schema has."""
    found = connection.execute(text(_RELATIONS[connection.dialect.name])).scalars()
    return sorted(set(names).intersection(found))
