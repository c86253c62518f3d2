"""The projection `costs`: keeps the tables `run_costs`, `cost_hourly` and `cost_totals`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from sqlalchemy import Connection, Table, and_, delete, select, update

from projections.database.schema import cost_hourly, cost_totals, run_costs
from projections.database.upsert import add, insert, upsert
from projections.folding.batch_fold import BatchFold
from projections.folding.costs import (
    CostChange,
    RunCost,
    cost_changes,
    has_decrease,
    has_new_cost,
    has_new_price,
    price_run,
)
from projections.folding.rates import PriceList
from projections.folding.rollups import Key, add_counts, sum_over_time
from projections.projectors.projection import FoldedBatch, Target
from projections.projectors.rollup_rows import is_row, join_keys

_KEYS_PER_QUERY = 500


class CostsProjection:
    """The costs of runs: each is priced when it ends, and again when what it is priced by changes.

    A run that was priced under another version of the price list keeps that cost until one of
    these, or a rebuild. `reference` is a connection to the tables that a replay is compared with:
    costs of another version are copied from there, since they cannot be calculated again.
    """

    name = "costs"
    version = 1
    is_own = False
    tables: Sequence[Table] = (run_costs, cost_hourly, cost_totals)

    def __init__(self, prices: PriceList, reference: Connection | None = None) -> None:
        self.prices, self.reference = prices, reference

    @property
    def settings(self) -> str | None:
        """Returns the settings of the prices, on which the rows depend."""
        return self.prices.settings

    def start_batch(self, fold: BatchFold) -> CostsBatch:
        """Returns an empty batch."""
        return CostsBatch(fold, self.prices, self.reference)

    def has_other_versions(self, connection: Connection, target: Target) -> bool:
        """True if the tables contain costs of another version of the price list."""
        versions = target(cost_totals).c.price_version
        query = select(versions).where(versions != self.prices.version).limit(1)
        return connection.execute(query).first() is not None


class CostsBatch(FoldedBatch):
    """The costs of the runs of one batch."""

    def __init__(self, fold: BatchFold, prices: PriceList, reference: Connection | None) -> None:
        super().__init__(fold)
        self._prices, self._reference = prices, reference

    def write(self, connection: Connection, target: Target) -> None:
        """Writes the cost of each run, and changes the sums by the differences."""
        runs = [run for run in self.fold.runs() if has_new_cost(run)]
        corrected = (run.key for run in runs if run.before is not None)
        known = _read_costs(connection, target(run_costs), corrected)
        copied = self._copy_reference(run.key for run in runs)
        changed = []
        for run in runs:
            now = copied.get(run.key)
            before = None
            if run.before is not None:
                # If the row was deleted, the earlier cost is calculated again.
                before = known.get(run.key) or price_run(run.before, self._prices)
                if now is None and not has_new_price(run.before, run.values):
                    now = before
            now = now or price_run(run.values, self._prices)
            changed.append(CostChange(run, now, before))
        for is_new, write in ((True, insert), (False, upsert)):
            rows = [[it.run.key, *it.now] for it in changed if it.run.is_new is is_new]
            write(connection, target(run_costs), rows)
        changes = cost_changes(changed)
        _add(connection, target(cost_hourly), join_keys(changes))
        _add(connection, target(cost_totals), sum_over_time(changes, add_counts))

    def _copy_reference(self, keys: Iterable[str]) -> Mapping[str, RunCost]:
        if self._reference is None:
            return {}
        costs = _read_costs(self._reference, run_costs, keys)
        version = self._prices.version
        return {key: it for key, it in costs.items() if it.price_version != version}


def _read_costs(connection: Connection, table: Table, keys: Iterable[str]) -> dict[str, RunCost]:
    costs, remaining = {}, iter(keys)
    while some := list(islice(remaining, _KEYS_PER_QUERY)):
        for row in connection.execute(select(table).where(table.c.run_key.in_(some))):
            costs[row[0]] = RunCost(*row[1:])
    return costs


def _add(connection: Connection, table: Table, changes: Mapping[Key, Sequence[int | None]]) -> None:
    """Adds to the sums; sums that no run is left in are removed or become NULL."""
    add(connection, table, [[*key, *added] for key, added in changes.items() if any(added)])
    for key, added in changes.items():
        if has_decrease(added):
            _remove_empty(connection, table, key)


def _remove_empty(connection: Connection, table: Table, key: Key) -> None:
    columns = table.c
    here = is_row(table, key)
    sides = [columns[name] for name in RunCost._fields[1:]]
    has_no_priced = columns.runs == columns.runs_without_usage + columns.unpriced_runs
    is_unpriced = and_(here, has_no_priced, *(it == 0 for it in sides))
    connection.execute(update(table).where(is_unpriced).values(dict.fromkeys(sides)))
    is_empty = and_(here, columns.runs == 0, *(it.is_(None) for it in sides))
    connection.execute(delete(table).where(is_empty))
