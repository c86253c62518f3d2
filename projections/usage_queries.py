"""What runs used: tokens summed over groups of runs, days and hours in any time zone."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, case, func, select

from projections.grouping import (
    DAY,
    HOUR,
    By,
    created_between,
    group_names,
    local_times,
    quarter_hour,
    sort_key,
    time_zone,
)
from projections.queries import UsageRow
from projections.schema import runs

_TOKENS = (
    runs.c.prompt_tokens,
    runs.c.completion_tokens,
    runs.c.total_tokens,
    runs.c.cached_tokens,
    runs.c.reasoning_tokens,
)
_HALF = 2**32

# SQLite refuses a sum of more than 63 bits, so that a few absurd counts would hide all others.
_SUMS = [
    part for column in _TOKENS for part in (func.sum(column // _HALF), func.sum(column % _HALF))
]


def sum_usage(
    connection: Connection, by: By, since: datetime | None, until: datetime | None, tz: str
) -> list[UsageRow]:
    """The tokens of each group; a run belongs to the day and hour of its creation in `tz`."""
    names = group_names(by, also=(DAY, HOUR))
    zone = time_zone(tz)
    stored = [name for name in names if name not in (DAY, HOUR)]
    keys: list[Any] = [runs.c[name] for name in stored]
    has_time = len(stored) < len(names)
    if has_time:
        keys.append(quarter_hour(connection.dialect.name).label("quarter"))
    unknown = func.coalesce(*_TOKENS[:3]).is_(None)
    counts = [func.count(), func.sum(case((unknown, 1), else_=0))]
    query = created_between(select(*keys, *counts, *_SUMS), since, until).group_by(*keys)
    totals: dict[tuple[object, ...], UsageRow] = {}
    for row in connection.execute(query):
        values = dict(zip(stored, row, strict=False))
        if has_time:
            values |= local_times(names, row[len(stored)], zone)
        group = {name: values[name] for name in names}
        part = _usage(group, row, len(keys))
        key = tuple(group.values())
        totals[key] = _sum(totals[key], part) if key in totals else part
    ordered = sorted(totals.values(), key=lambda it: sort_key(it.group))
    return [_in_zone(it, zone) for it in ordered]


def _usage(group: dict[str, object], row: Row[Any], at: int) -> UsageRow:
    halves = row[at + 2 :]
    sums = [
        None if high is None else int(high) * _HALF + int(low)
        for high, low in zip(halves[::2], halves[1::2], strict=True)
    ]
    return UsageRow(group, row[at], int(row[at + 1]), *sums)


def _sum(one: UsageRow, other: UsageRow) -> UsageRow:
    return UsageRow(one.group, *map(_plus, one[1:], other[1:]))


def _plus(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else one + other


def _in_zone(row: UsageRow, zone: ZoneInfo) -> UsageRow:
    start = row.group.get(HOUR)
    if not isinstance(start, datetime):
        return row
    return row._replace(group={**row.group, HOUR: start.astimezone(zone)})
