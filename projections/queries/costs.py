"""The costs of ended runs in dollars, summed over groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection, and_, case, func, select

from projections.database.schema import cost_hourly, cost_totals, run_costs, runs
from projections.folding.rates import dollars, is_priceable
from projections.folding.rollups import add_counts
from projections.queries.grouping import Grouping, GroupValues, localize_hour, sort_key
from projections.queries.periods import whole_quarters
from projections.queries.rollups import Rollup, select_ended, sum_rollup
from projections.queries.run_groups import group_of, read_groups
from projections.row_types import CostRow, UnpricedRow

_SUMS = (
    "runs",
    "runs_without_usage",
    "unpriced_runs",
    "input_nanodollars",
    "output_nanodollars",
    "request_nanodollars",
)
_ROLLUP = Rollup(cost_hourly, cost_totals, ("price_version",), _SUMS)
_COSTS = tuple(run_costs.c[name] for name in _SUMS[3:])
_HAS_USAGE = and_(runs.c.prompt_tokens.is_not(None), runs.c.completion_tokens.is_not(None))
_IS_UNPRICED = and_(_HAS_USAGE, run_costs.c.input_nanodollars.is_(None))
_COUNTS = (
    func.count(),
    func.sum(case((_HAS_USAGE, 0), else_=1)),
    func.sum(case((_IS_UNPRICED, 1), else_=0)),
    *map(func.sum, _COSTS),
)


def sum_costs(connection: Connection, grouping: Grouping) -> list[CostRow]:
    """Returns the costs of the ended runs of each group."""
    groups: dict[tuple[object, ...], dict[str, object]] = {}
    sums: dict[tuple[object, ...], list[int | None]] = {}
    versions: dict[tuple[object, ...], set[str]] = {}
    for group, (version, *part) in _read_costs(connection, grouping):
        key = tuple(group.values())
        groups[key] = group
        added = [None if it is None else int(it) for it in part]
        sums[key] = add_counts(sums[key], added) if key in sums else added
        versions.setdefault(key, set()).add(version)
    ordered = sorted(groups.items(), key=lambda it: sort_key(it[1]))
    return [
        _make_row(localize_hour(group, grouping.zone), sums[key], versions[key])
        for key, group in ordered
    ]


def find_unpriced_models(connection: Connection) -> list[UnpricedRow]:
    """Returns the models and tiers of runs that could not be priced, those of most runs first."""
    model = cost_totals.c["source", "model", "service_tier"]
    number = func.sum(cost_totals.c.unpriced_runs)
    query = select(*model, number).group_by(*model).having(number > 0)
    rows = [
        UnpricedRow(it[0], it[1] or None, int(it[3]), it[2] or None)
        for it in connection.execute(query)
    ]
    return sorted(rows, key=lambda it: (-it.runs, it.source, it.model or "", it.service_tier or ""))


def _make_row(
    group: Mapping[str, object], sums: Sequence[int | None], versions: set[str]
) -> CostRow:
    runs_, without_usage, unpriced = (it or 0 for it in sums[:3])
    input_, output, request = sums[3:]
    total = None if input_ is None else input_ + (output or 0) + (request or 0)
    costs = dollars(input_), dollars(output), dollars(total)
    return CostRow(group, runs_, without_usage, unpriced, *costs, tuple(sorted(versions)))


def _read_costs(connection: Connection, grouping: Grouping) -> Iterator[GroupValues]:
    """Yields the price version and the sums of each group, in parts."""
    if not _ROLLUP.can_answer(grouping):
        version = [run_costs.c.price_version]
        yield from read_groups(connection, grouping, values=version, sums=_COUNTS, joined=run_costs)
        return
    quarters = whole_quarters(grouping.since, grouping.until)
    yield from sum_rollup(connection, _ROLLUP, grouping, quarters)
    is_same_run = run_costs.c.run_key == runs.c.run_key
    columns = (*runs.c, run_costs.c.price_version, *_COSTS)
    for since, until in quarters.edges:
        query = select(*columns).join_from(runs, run_costs, is_same_run)
        for run in connection.execute(select_ended(query, since, until, grouping.filters)):
            version, *costs = run[len(runs.c) :]
            is_without_usage = not is_priceable((run.prompt_tokens, run.completion_tokens))
            is_unpriced = costs[-1] is None and not is_without_usage
            yield (
                group_of(run, grouping),
                (version, 1, int(is_without_usage), int(is_unpriced), *costs),
            )
