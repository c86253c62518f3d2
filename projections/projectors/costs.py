"""The projection `costs`: keeps the tables `run_costs`, `cost_hourly` and `cost_totals`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from sqlalchemy import Connection, Table, and_, delete, select, update

from projections.database.schema import cost_hourly, cost_totals, run_costs
from projections.database.upsert import add, insert, upsert
from projections.folding.batch_fold import BatchFold
from projections.folding.costs import Counted, Recount, cost_changes, is_recounted, may_empty, price
from projections.folding.micros import moment_of
from projections.folding.rates import PriceList
from projections.folding.rollups import Key, plus_usage, totals
from projections.projectors.projection import Folded, Target

_KEYS = 500


class CostsProjection:
    """Prices each ended run once, and again where its usage is corrected later.

    What was priced under another version of the prices stays so until then, or until a rebuild.
    With `proven`, a connection to tables that are compared with the ones written, what these
    have under another version is taken over: nobody can price it again.
    """

    name = "costs"
    version = 1
    tables: Sequence[Table] = (run_costs, cost_hourly, cost_totals)

    def __init__(self, prices: PriceList, proven: Connection | None = None) -> None:
        self.prices, self.proven = prices, proven

    def begin(self, fold: BatchFold) -> CostsBatch:
        """An empty batch."""
        return CostsBatch(fold, self.prices, self.proven)

    def has_others(self, connection: Connection, target: Target) -> bool:
        """Whether some of what the tables have was priced under another version."""
        versions = target(cost_totals).c.price_version
        query = select(versions).where(versions != self.prices.version).limit(1)
        return connection.execute(query).first() is not None


class CostsBatch(Folded):
    """The costs of the runs of one batch."""

    def __init__(self, fold: BatchFold, prices: PriceList, proven: Connection | None) -> None:
        super().__init__(fold)
        self._prices, self._proven = prices, proven

    def write(self, connection: Connection, target: Target) -> None:
        """Writes what each run costs, and moves the sums by the difference."""
        runs = [run for run in self.fold.runs() if is_recounted(run)]
        corrected = (run.key for run in runs if run.before is not None)
        known = _read(connection, target(run_costs), corrected)
        taken = self._taken(run.key for run in runs)
        recounts = []
        for run in runs:
            now = taken.get(run.key) or price(run.values, self._prices)
            before = None
            if run.before is not None:
                # Its row is not there where it was deleted; then what it was is priced anew.
                before = known.get(run.key) or price(run.before, self._prices)
            recounts.append(Recount(run, now, before))
        for is_new, write in ((True, insert), (False, upsert)):
            rows = [[it.run.key, *it.now] for it in recounts if it.run.is_new is is_new]
            write(connection, target(run_costs), rows)
        changes = cost_changes(recounts)
        hourly = {(*time, *kind): added for (time, kind), added in changes.items()}
        _add(connection, target(cost_hourly), hourly)
        _add(connection, target(cost_totals), totals(changes, plus_usage))

    def _taken(self, keys: Iterable[str]) -> Mapping[str, Counted]:
        if self._proven is None:
            return {}
        found = _read(self._proven, run_costs, keys)
        version = self._prices.version
        return {key: it for key, it in found.items() if it.price_version != version}


def _read(connection: Connection, table: Table, keys: Iterable[str]) -> dict[str, Counted]:
    found, remaining = {}, iter(keys)
    while some := list(islice(remaining, _KEYS)):
        for row in connection.execute(select(table).where(table.c.run_key.in_(some))):
            found[row[0]] = Counted(*row[1:])
    return found


def _add(connection: Connection, table: Table, changes: Mapping[Key, Sequence[int | None]]) -> None:
    """Adds to the sums; a row of which all is taken away is as if it had never been counted."""
    add(connection, table, [[*key, *added] for key, added in changes.items() if any(added)])
    for key, added in changes.items():
        if may_empty(added):
            _tidy(connection, table, key)


def _tidy(connection: Connection, table: Table, key: Key) -> None:
    columns = table.c
    named = dict(zip(table.primary_key.columns.keys(), key, strict=True))
    if "hour" in named:
        named["hour"] = moment_of(named["hour"])
    here = and_(*(columns[name] == value for name, value in named.items()))
    sides = columns.input_nanodollars, columns.output_nanodollars
    nothing = columns.runs == columns.runs_without_usage + columns.unpriced_runs
    is_unpriced = and_(here, nothing, *(it == 0 for it in sides))
    connection.execute(update(table).where(is_unpriced).values(dict.fromkeys(sides)))
    is_empty = and_(here, columns.runs == 0, *(it.is_(None) for it in sides))
    connection.execute(delete(table).where(is_empty))
