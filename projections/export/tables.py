"""The public tables and views to files, row by row, as one snapshot of the database has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime
from typing import Any, BinaryIO, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    FromClause,
    Select,
    Text,
    bindparam,
    column,
    select,
    text,
)

from projections.database.engine import snapshot
from projections.database.open_run_views import (
    OPEN_COLUMNS,
    PARAMETER,
    STUCK_COLUMNS,
    open_runs,
    stuck_runs,
)
from projections.database.schema import checkpoints, metadata, run_steps, runs
from projections.export.formats import Format, writing
from projections.folding.micros import micros, utc_text, zoned_text
from projections.queries.grouping import created_between
from tracker.errors import SettingsError

# Told how many rows were written so far.
Exported = Callable[[int], object]

_VIEWS = {"open_runs": (open_runs, OPEN_COLUMNS), "stuck_runs": (stuck_runs, STUCK_COLUMNS)}
TABLES = (*(name for name in metadata.tables if name != checkpoints.name), *_VIEWS)
_OF_RUNS = tuple(it for it in TABLES if it in _VIEWS or "run_key" in metadata.tables[it].c)

_ROWS = 2000
# What is no column of a run is a number of seconds, but for this.
_SAID = {"reason": Text()}
# What the type of JSON does not tell.
_DOCUMENTS: dict[str, type] = {runs.c.metadata.name: dict, run_steps.c.tools.name: list}


class Target(NamedTuple):
    """What is to be exported, and the file it goes to, which is opened in its turn."""

    query: Select[Any]
    file: AbstractContextManager[BinaryIO]


def table_query(
    connection: Connection,
    name: str,
    now: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Select[Any]:
    """All rows of a table or view in the order of their keys; open runs are as old as at `now`.

    `since` and `until` limit to runs created from the one on and before the other. Raises
    SettingsError where there is no such table, or its rows are not of single runs.
    """
    if name not in TABLES:
        raise SettingsError(f"no table {name!r} to export: {', '.join(TABLES)}")
    dialect = connection.dialect.name
    found = _view(name, dialect, now) if name in _VIEWS else metadata.tables[name]
    query = select(found)
    if since is not None or until is not None:
        if name not in _OF_RUNS:
            raise SettingsError(
                f"{name} has sums over runs: since and until are for {', '.join(_OF_RUNS)}"
            )
        chosen = created_between(select(runs.c.run_key), since, until)
        query = query.where(found.c.run_key.in_(chosen))
    keys: list[ColumnElement[Any]] = list(found.primary_key) or [found.c.run_key]
    if dialect != "sqlite":
        # As SQLite orders them: the rules of a language differ from server to server.
        keys = [it.collate("C") if isinstance(it.type, Text) else it for it in keys]
    return query.order_by(*keys)


def export_tables(
    connection: Connection, targets: Sequence[Target], format: Format, progress: Exported
) -> list[int]:
    """Writes each target, all as one snapshot has them; gives how many rows each had.

    A few thousand rows are in memory at once, of Parquet those of a row group. The files are
    left, and so come into their places, after the last row of the last one.
    """
    counts: list[int] = []
    with snapshot(connection) as seen, ExitStack() as files:
        for query, file in targets:
            count, before = 0, sum(counts)
            with (
                writing(files.enter_context(file), format, _kinds(query)) as write,
                seen.execute(query, execution_options={"yield_per": _ROWS}) as found,
            ):
                for rows in found.partitions():
                    write(rows)
                    count += len(rows)
                    progress(before + count)
            counts.append(count)
    return counts


def _kinds(query: Select[Any]) -> dict[str, type]:
    """Each column and what its values are in Python."""
    # SQLAlchemy's names are texts of a class of its own, which cost ten times as much as keys.
    return {
        str(it.name): _DOCUMENTS.get(it.name) or it.type.python_type
        for it in query.selected_columns
    }


def _view(name: str, dialect: str, now: datetime) -> FromClause:
    sql, columns = _VIEWS[name]
    shown = (utc_text if dialect == "sqlite" else zoned_text)(micros(now))
    found = text(sql(dialect, PARAMETER[dialect])).bindparams(bindparam("now", shown, type_=Text))
    return found.columns(
        *(column(it, runs.c[it].type if it in runs.c else _SAID.get(it, Float())) for it in columns)
    ).subquery(name)
