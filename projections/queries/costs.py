"""What runs cost: dollars summed over groups of runs, days and hours in any time zone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, and_, case, func, select

from projections.database.schema import cost_hourly, cost_totals, run_costs, runs
from projections.folding.rates import dollars, is_usage
from projections.folding.rollups import plus_usage
from projections.queries.grouping import By, checked_limits, group_names, sort_key, time_zone
from projections.queries.periods import span
from projections.queries.rollups import Counted, Rollup, count, ended_between
from projections.queries.run_groups import counted, group_of, in_zone
from projections.row_types import CostRow, RunRow, UnpricedRow

_SUMS = (
    "runs",
    "runs_without_usage",
    "unpriced_runs",
    "input_nanodollars",
    "output_nanodollars",
)
_ROLLUP = Rollup(cost_hourly, cost_totals, ("price_version",), _SUMS)
_COSTS = tuple(run_costs.c[name] for name in _SUMS[3:])
_IS_USAGE = and_(runs.c.prompt_tokens.is_not(None), runs.c.completion_tokens.is_not(None))
_IS_UNPRICED = and_(_IS_USAGE, run_costs.c.input_nanodollars.is_(None))
_COUNTS = (
    func.count(),
    func.sum(case((_IS_USAGE, 0), else_=1)),
    func.sum(case((_IS_UNPRICED, 1), else_=0)),
    *map(func.sum, _COSTS),
)


def sum_costs(
    connection: Connection, by: By, since: datetime | None, until: datetime | None, tz: str
) -> list[CostRow]:
    """The costs of the ended runs of each group, by the day and hour of their creation in `tz`."""
    names, zone = group_names(by), time_zone(tz)
    groups: dict[tuple[object, ...], dict[str, object]] = {}
    sums: dict[tuple[object, ...], list[int | None]] = {}
    versions: dict[tuple[object, ...], set[str]] = {}
    for group, (version, *part) in _parts(connection, names, since, until, zone):
        key = tuple(group.values())
        groups[key] = group
        added = [None if it is None else int(it) for it in part]
        sums[key] = plus_usage(sums[key], added) if key in sums else added
        versions.setdefault(key, set()).add(version)
    ordered = sorted(groups.items(), key=lambda it: sort_key(it[1]))
    return [_row(in_zone(group, zone), sums[key], versions[key]) for key, group in ordered]


def _row(group: Mapping[str, object], sums: Sequence[int | None], versions: set[str]) -> CostRow:
    runs_, silent, unpriced = (it or 0 for it in sums[:3])
    input_, output = sums[3:]
    total = None if input_ is None or output is None else input_ + output
    costs = dollars(input_), dollars(output), dollars(total)
    return CostRow(group, runs_, silent, unpriced, *costs, tuple(sorted(versions)))


def find_unpriced(connection: Connection) -> list[UnpricedRow]:
    """The models of runs that were not priced, that of most runs first."""
    kind = cost_totals.c["source", "model"]
    number = func.sum(cost_totals.c.unpriced_runs)
    query = select(*kind, number).group_by(*kind).having(number > 0)
    rows = [UnpricedRow(it[0], it[1] or None, int(it[2])) for it in connection.execute(query)]
    return sorted(rows, key=lambda it: (-it.runs, it.source, it.model or ""))


def _parts(
    connection: Connection,
    names: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    zone: ZoneInfo,
) -> Iterator[Counted]:
    """The version of the prices and the sums of each group, in parts."""
    checked_limits(since, until)
    if not _ROLLUP.covers(names):
        version = [run_costs.c.price_version]
        yield from counted(
            connection, names, since, until, zone, values=version, sums=_COUNTS, beside=run_costs
        )
        return
    quarters = span(since, until)
    yield from count(connection, _ROLLUP, names, quarters, zone)
    is_its = run_costs.c.run_key == runs.c.run_key
    columns = (*runs.c, run_costs.c.price_version, *_COSTS)
    for begin, end in quarters.edges:
        query = select(*columns).join_from(runs, run_costs, is_its)
        for row in connection.execute(ended_between(query, begin, end)):
            run = RunRow(*row[: len(runs.c)])
            version, *costs = row[len(runs.c) :]
            silent = not is_usage((run.prompt_tokens, run.completion_tokens))
            unpriced = costs[-1] is None and not silent
            group = group_of(run, names, zone)
            yield group, (version, 1, int(silent), int(unpriced), *costs)
