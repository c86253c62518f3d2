"""What runs used: tokens summed over groups of runs, days and hours in any time zone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, case, func

from projections.database.schema import runs, usage_hourly, usage_totals
from projections.folding.rollups import plus_usage, usage_of
from projections.queries.grouping import By, checked_limits, group_names, sort_key, time_zone
from projections.queries.periods import span
from projections.queries.rollups import Counted, Rollup, count, edge_runs
from projections.queries.run_groups import counted, group_of, in_zone
from projections.row_types import UsageRow

_ROLLUP = Rollup(usage_hourly, usage_totals, (), UsageRow._fields[1:])
_TOKENS = tuple(runs.c[name] for name in UsageRow._fields[3:])
_UNKNOWN = func.coalesce(*_TOKENS[:3]).is_(None)
_SUMS = (func.count(), func.sum(case((_UNKNOWN, 1), else_=0)), *map(func.sum, _TOKENS))


def sum_usage(
    connection: Connection, by: By, since: datetime | None, until: datetime | None, tz: str
) -> list[UsageRow]:
    """The tokens of the ended runs of each group, by the day and hour of their creation in `tz`."""
    names, zone = group_names(by), time_zone(tz)
    totals: dict[tuple[object, ...], UsageRow] = {}
    for group, sums in used(connection, names, since, until, zone):
        key = tuple(group.values())
        added = [None if it is None else int(it) for it in sums]
        known = totals.get(key)
        summed = added if known is None else plus_usage(known[1:], added)
        totals[key] = UsageRow(group, *summed)  # type: ignore[arg-type]
    ordered = sorted(totals.values(), key=lambda it: sort_key(it.group))
    return [it._replace(group=in_zone(it.group, zone)) for it in ordered]


def used(
    connection: Connection,
    names: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    zone: ZoneInfo,
) -> Iterator[Counted]:
    """The runs, the silent ones among them and the tokens of each group, in parts."""
    checked_limits(since, until)
    if not _ROLLUP.covers(names):
        yield from counted(connection, names, since, until, zone, sums=_SUMS)
        return
    quarters = span(since, until)
    yield from count(connection, _ROLLUP, names, quarters, zone)
    for run in edge_runs(connection, quarters):
        yield group_of(run, names, zone), usage_of(run)
