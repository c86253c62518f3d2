"""Exports of the public tables and views to files, all from one snapshot of the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime
from typing import Any, BinaryIO, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    Table,
    select,
)

from projections.database.engine import read_snapshot
from projections.database.open_run_views import OPEN_RUN_VIEWS, view_at
from projections.database.schema import STATE_TABLES, metadata, run_steps, runs
from projections.export.formats import Format, open_writer
from projections.queries.grouping import created_between
from tracker.errors import SettingsError

# Called with the number of rows written so far.
RowProgress = Callable[[int], object]

TABLES = (*(name for name in metadata.tables if name not in STATE_TABLES), *OPEN_RUN_VIEWS)
_TABLES_OF_RUNS = tuple(
    it for it in TABLES if it in OPEN_RUN_VIEWS or "run_key" in metadata.tables[it].c
)

_ROWS_PER_FETCH = 2000
# The types of the values of JSON columns.
_JSON_TYPES: dict[str, type] = {
    runs.c.metadata.name: dict,
    runs.c.thread_usage.name: dict,
    run_steps.c.tools.name: list,
}


class TableExport(NamedTuple):
    """A query, and the file for its rows, which is opened when its turn comes."""

    query: Select[Any]
    file: AbstractContextManager[BinaryIO]


def table_query(
    connection: Connection,
    name: str,
    now: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
    own: Sequence[Table] = (),
) -> Select[Any]:
    """Returns the query for all rows of a table or view, ordered by key, with ages at `now`.

    `since` and `until` limit the rows to runs created from the one on and before the other. Raises
    SettingsError for an unknown table, or for limits where rows do not belong to single runs. `own`
    are tables of the application.
    """
    tables = {it.name: it for it in (*metadata.tables.values(), *own)}
    names = (*TABLES, *(it.name for it in own))
    if name not in names:
        raise SettingsError(f"no table {name!r} to export: {', '.join(names)}")
    dialect = connection.dialect.name
    is_view = name in OPEN_RUN_VIEWS
    found = view_at(name, dialect, now) if is_view else tables[name]
    query = select(*(it for it in found.c if not it.name.startswith("_")))
    if since is not None or until is not None:
        if "run_key" not in found.c:
            raise SettingsError(
                f"{name} has sums over runs: since and until apply to {', '.join(_TABLES_OF_RUNS)}"
            )
        keys_of_runs = created_between(select(runs.c.run_key), since, until)
        query = query.where(found.c.run_key.in_(keys_of_runs))
    keys: list[ColumnElement[Any]] = list(found.primary_key) or [found.c.run_key]
    if dialect != "sqlite":
        # The order of SQLite: locale rules differ from server to server.
        keys = [it.collate("C") if isinstance(it.type, String) else it for it in keys]
    return query.order_by(*keys)


def export_tables(
    connection: Connection, exports: Sequence[TableExport], format: Format, progress: RowProgress
) -> list[int]:
    """Writes all exports from one snapshot; returns the number of rows of each.

    A few thousand rows are in memory at once, for Parquet those of a row group. The files are
    closed, and so replaced, after the last row of the last one.
    """
    counts: list[int] = []
    with read_snapshot(connection) as snapshot, ExitStack() as files:
        for query, file in exports:
            count, before = 0, sum(counts)
            with (
                open_writer(files.enter_context(file), format, _value_types(query)) as write,
                snapshot.execute(query, execution_options={"yield_per": _ROWS_PER_FETCH}) as found,
            ):
                for rows in found.partitions():
                    write(rows)
                    count += len(rows)
                    progress(before + count)
            counts.append(count)
    return counts


def _value_types(query: Select[Any]) -> dict[str, type]:
    """Returns the columns with the types of their values in Python."""
    # Names become plain strings: those of SQLAlchemy are ten times as slow as keys.
    return {
        str(it.name): _JSON_TYPES.get(it.name) or it.type.python_type
        for it in query.selected_columns
    }
