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
from projections.row_types import UsageRow, field_names

_COUNTS = field_names(UsageRow)[1:]
_ROLLUP = Rollup(usage_hourly, usage_totals, (), _COUNTS)
_TOKENS = tuple(runs.c[name] for name in _COUNTS[2:])
_IS_WITHOUT_USAGE = func.coalesce(*_TOKENS[:3]).is_(None)
_SUMS = (func.count(), func.sum(case((_IS_WITHOUT_USAGE, 1), else_=0)), *map(func.sum, _TOKENS))


def sum_usage(connection: Connection, grouping: Grouping) -> list[UsageRow]:
    """Returns the tokens of the ended runs of each group."""
    groups: dict[tuple[object, ...], dict[str, object]] = {}
    totals: dict[tuple[object, ...], list[int | None]] = {}
    for group, sums in read_usage(connection, grouping):
        key = tuple(group.values())
        added = [None if it is None else int(it) for it in sums]
        groups[key] = group
        totals[key] = add_counts(totals[key], added) if key in totals else added
    ordered = sorted(groups.items(), key=lambda it: sort_key(it[1]))
    return [
        UsageRow(localize_hour(group, grouping.zone), *totals[key])  # type: ignore[arg-type]
        for key, group in ordered
    ]


def read_usage(connection: Connection, grouping: Grouping) -> Iterator[GroupValues]:
    """Yields the ended runs, those without usage and the tokens of each group, in parts."""
    if not _ROLLUP.can_answer(grouping):
        yield from read_groups(connection, grouping, sums=_SUMS)
        return
    quarters = whole_quarters(grouping.since, grouping.until)
    yield from sum_rollup(connection, _ROLLUP, grouping, quarters)
    for run in read_edge_runs(connection, quarters, grouping.filters):
        yield group_of(run, grouping), usage_counts(run)
