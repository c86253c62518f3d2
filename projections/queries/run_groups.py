"""Ended runs one by one with the group that they count for: what the rollups do not know."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Column, Connection, Table, select

from projections.database.schema import runs
from projections.queries.grouping import (
    HOUR,
    METADATA,
    QUARTER_SECONDS,
    TIMES,
    column,
    created_between,
    local_times,
    quarter_hour,
)
from projections.row_types import RunRow

Counted = tuple[dict[str, object], Sequence[Any]]


def counted(
    connection: Connection,
    names: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    zone: ZoneInfo,
    *,
    values: Sequence[Column[Any]] = (),
    sums: Sequence[Any] = (),
    ended: bool = True,
    beside: Table | None = None,
) -> Iterator[Counted]:
    """The `values` of each run of a group, or the `sums` over each group, in parts.

    With `beside`, these may be of another table that has rows of the runs, and only of them.
    """
    dialect = connection.dialect.name
    stored = [name for name in names if name not in TIMES]
    keys = [column(name, dialect).label(f"key_{at}") for at, name in enumerate(stored)]
    if len(stored) < len(names):
        keys.append(quarter_hour(dialect).label("quarter"))
    query = created_between(select(*keys, *values, *sums), since, until)
    if beside is not None:
        query = query.join_from(runs, beside, beside.c.run_key == runs.c.run_key)
    is_open = runs.c.outcome.is_(None)
    query = query.where(~is_open if ended else is_open)
    if sums:
        query = query.group_by(*keys, *values)
    for row in connection.execute(query):
        found = {
            name: _plain(value) if name.startswith(METADATA) else value
            for name, value in zip(stored, row, strict=False)
        }
        if len(stored) < len(keys):
            found |= local_times(names, row[len(stored)], zone)
        yield {name: found[name] for name in names}, row[len(keys) :]


def group_of(run: RunRow, names: Sequence[str], zone: ZoneInfo) -> dict[str, object]:
    """The group of one run, by columns of its own and times."""
    quarter = int(run.created_at.timestamp()) // QUARTER_SECONDS
    times = local_times(names, quarter, zone)
    return {name: times[name] if name in TIMES else getattr(run, name) for name in names}


def in_zone(group: Mapping[str, object], zone: ZoneInfo) -> Mapping[str, object]:
    """A group whose hour is shown on the clock of a zone."""
    start = group.get(HOUR)
    return {**group, HOUR: start.astimezone(zone)} if isinstance(start, datetime) else group


def _plain(found: Any) -> str | None:
    """A value of the metadata: a text as it is, anything else as JSON."""
    if isinstance(found, str):
        found = json.loads(found)
    value = found[0] if found else None
    return value if value is None or isinstance(value, str) else json.dumps(value, sort_keys=True)
