"""The tokens of ended runs, summed over groups."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, case, func

from projections.database.schema import runs, usage_hourly, usage_totals
from projections.folding.rollups import add_counts, usage_counts
from projections.queries.grouping import Grouping, GroupValues, localize_hour, sort_key
from projections.queries.periods import whole_quarters
from projections.queries.rollups import Rollup, read_edge_runs, sum_rollup
from projections.queries.run_groups import group_of, read_groups
from projections.row_types import UsageRow

_ROLLUP = Rollup(usage_hourly, usage_totals, (), UsageRow._fields[1:])
_TOKENS = tuple(runs.c[name] for name in UsageRow._fields[3:])
_IS_WITHOUT_USAGE = func.coalesce(*_TOKENS[:3]).is_(None)
_SUMS = (func.count(), func.sum(case((_IS_WITHOUT_USAGE, 1), else_=0)), *map(func.sum, _TOKENS))


def sum_usage(connection: Connection, grouping: Grouping) -> list[UsageRow]:
    """Returns the tokens of the ended runs of each group."""
    totals: dict[tuple[object, ...], UsageRow] = {}
    for group, sums in read_usage(connection, grouping):
        key = tuple(group.values())
        added = [None if it is None else int(it) for it in sums]
        known = totals.get(key)
        counts = added if known is None else add_counts(known[1:], added)
        totals[key] = UsageRow(group, *counts)  # type: ignore[arg-type]
    ordered = sorted(totals.values(), key=lambda it: sort_key(it.group))
    return [it._replace(group=localize_hour(it.group, grouping.zone)) for it in ordered]


def read_usage(connection: Connection, grouping: Grouping) -> Iterator[GroupValues]:
    """Yields the ended runs, those without usage and the tokens of each group, in parts."""
    if not _ROLLUP.has_columns(grouping.names):
        yield from read_groups(connection, grouping, sums=_SUMS)
        return
    quarters = whole_quarters(grouping.since, grouping.until)
    yield from sum_rollup(connection, _ROLLUP, grouping, quarters)
    for run in read_edge_runs(connection, quarters):
        yield group_of(run, grouping), usage_counts(run)
