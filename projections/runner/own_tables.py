"""The tables of an application's own projections: made where they are missing, and checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Table, select

from projections.database.catalog import column_names, find_taken_names, has_table
from projections.projectors.projection import Projection
from projections.runner.checkpoint import read_checkpoint
from tracker.errors import SchemaError


def own_tables(projections: Iterable[Projection]) -> list[Table]:
    """Returns the tables of the projections of the application."""
    return [table for it in projections if it.is_own for table in it.tables]


def create_own_tables(connection: Connection, projections: Sequence[Projection]) -> None:
    """Creates the missing tables of the application's projections.

    Raises SchemaError if another object has the name of a table. The caller holds the lock of
    migrations.
    """
    for table in own_tables(projections):
        if has_table(connection, table.name):
            continue
        if find_taken_names(connection, [table.name]):
            raise SchemaError(
                f"the database has another object under the name {table.name}: "
                "give the table of your projection another one"
            )
        table.create(connection, checkfirst=False)


def check_own_tables(connection: Connection, projections: Iterable[Projection]) -> None:
    """Raises SchemaError, with the cure, unless each projection can write its tables."""
    for projection in projections:
        if not projection.is_own:
            continue
        found = read_checkpoint(connection, projection.name)
        for table in projection.tables:
            if not has_table(connection, table.name):
                raise SchemaError(
                    f"the table {table.name} of the projection {projection.name!r} is missing: "
                    "call Views.upgrade()"
                )
            if found is not None and found.version != projection.version:
                # It is rebuilt, or belongs to a newer version.
                continue
            there, needed = column_names(connection, table.name), set(table.columns.keys())
            if there != needed:
                differing = ", ".join(sorted(there ^ needed))
                raise SchemaError(
                    f"the table {table.name} and the projection {projection.name!r} differ in the "
                    f"columns {differing}: raise the `version` of the projection, and the next "
                    "catch-up rebuilds the table; or give it another table"
                )
            if found is None and connection.execute(select(table).limit(1)).first() is not None:
                raise SchemaError(
                    f"the table {table.name} has rows, and the projection {projection.name!r} has "
                    "not written any: empty the table, or give the projection another one"
                )
