"""Groups of runs read from the table `runs`, for everything that the rollups do not contain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Table, select
from sqlalchemy import Row as SqlRow

from projections.database.schema import runs
from projections.folding.json_text import group_text, read_json
from projections.folding.micros import QUARTER, micros
from projections.queries.filters import filter_conditions
from projections.queries.grouping import (
    METADATA,
    TIMES,
    Grouping,
    GroupValues,
    created_between,
    group_column,
    local_times,
    open_between,
    quarter_column,
)


def read_groups(
    connection: Connection,
    grouping: Grouping,
    *,
    values: Sequence[Column[Any]] = (),
    sums: Sequence[Any] = (),
    ended: bool = True,
    joined: Table | None = None,
) -> Iterator[GroupValues]:
    """Yields the `values` of each run with its group, or the `sums` over each group in parts.

    Both may use columns of `joined`, a table with rows for some of the runs; only these runs are
    then read.
    """
    dialect, names = connection.dialect.name, grouping.names
    wanted = {METADATA + key: value for key, value in grouping.filters.metadata.items()}
    # Equal values of the metadata may be stored in several forms: they are compared as texts.
    stored = list(dict.fromkeys([*(name for name in names if name not in TIMES), *wanted]))
    keys = [group_column(name, dialect).label(f"key_{at}") for at, name in enumerate(stored)]
    if not TIMES.isdisjoint(names):
        keys.append(quarter_column(dialect).label("quarter"))
    query = select(*keys, *values, *sums)
    if ended:
        query = created_between(query, grouping.since, grouping.until)
    else:
        query = open_between(query, grouping.since, grouping.until, dialect)
    if joined is not None:
        query = query.join_from(runs, joined, joined.c.run_key == runs.c.run_key)
    is_open = runs.c.outcome.is_(None)
    query = query.where(~is_open if ended else is_open)
    query = query.where(*filter_conditions(grouping.filters, runs.c))
    if grouping.newest is not None:
        newest = select(runs.c.run_key).order_by(runs.c.created_at.desc()).limit(grouping.newest)
        newest = created_between(newest, grouping.since, grouping.until)
        query = query.where(runs.c.run_key.in_(newest))
    if sums:
        query = query.group_by(*keys, *values)
    for row in connection.execute(query):
        # An empty text stands for unknown, as in the rollups.
        group = {
            name: (metadata_text(value) if name.startswith(METADATA) else value) or None
            for name, value in zip(stored, row, strict=False)
        }
        if any(group[name] != (value or None) for name, value in wanted.items()):
            continue
        if len(stored) < len(keys):
            group |= local_times(names, row[len(stored)], grouping.zone)
        yield {name: group[name] for name in names}, row[len(keys) :]


def group_of(run: SqlRow[Any], grouping: Grouping) -> dict[str, object]:
    """Returns the group of one run, by its columns and local times."""
    times = local_times(grouping.names, micros(run.created_at) // QUARTER, grouping.zone)
    return {it: times[it] if it in TIMES else getattr(run, it) or None for it in grouping.names}


def metadata_text(found: Any) -> str | None:
    """Returns a value of the metadata: a string as it is, anything else as JSON."""
    if isinstance(found, str):
        found = read_json(found)
    return group_text(found[0]) if found else None
