"""The costs of ended runs, and the changes that they make to the rollups of costs.

The counted cost of a run is kept beside it. If its usage is corrected later, or its model or its
creation is told, that cost is subtracted from the sums of its own price version, and the run is
priced again. A run of which only the assistant is told keeps its cost, among those of that one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from projections.folding.batch_fold import FoldedRun
from projections.folding.micros import moment_of
from projections.folding.rates import PriceList, calculate_cost, is_priceable, special_tier
from projections.folding.rollups import (
    CREATED,
    MODEL,
    OUTCOME,
    TIER,
    TOKENS,
    Key,
    add_counts,
    negate,
    rollup_keys,
)


class RunCost(NamedTuple):
    """The counted cost of a run: the columns of `run_costs` after its key.

    The costs are None where the run could not be priced.
    """

    price_version: str
    input_nanodollars: int | None
    output_nanodollars: int | None
    request_nanodollars: int | None


class CostChange(NamedTuple):
    """A run with its new cost, and with the one that was counted before, if any."""

    run: FoldedRun
    now: RunCost
    before: RunCost | None


def has_new_cost(run: FoldedRun) -> bool:
    """True if a batch ended the run, or changed what an ended one is counted with."""
    if run.values[OUTCOME] is None:
        return False
    if run.before is None or has_new_price(run.before, run.values):
        return True
    return rollup_keys(run.before) != rollup_keys(run.values)


def has_new_price(before: Sequence[Any], values: Sequence[Any]) -> bool:
    """True if a run is priced by other values than before."""
    return any(before[it] != values[it] for it in (TOKENS, TIER, MODEL, CREATED))


def price_run(values: Sequence[Any], prices: PriceList) -> RunCost:
    """Returns the cost of a run at the prices of the time of its creation."""
    tokens, model, created = values[TOKENS], values[MODEL], moment_of(values[CREATED])
    if model and created is not None and is_priceable(tokens):
        rates = prices.rates(model, created, special_tier(values[TIER]))
        cost = None if rates is None else calculate_cost(rates, tokens)
        if cost is not None:
            return RunCost(prices.version, *cost)
    return RunCost(prices.version, None, None, None)


def cost_changes(changed: Iterable[CostChange]) -> dict[tuple[Key, Key], list[int | None]]:
    """Returns the changes to the sums of `cost_hourly`.

    They are keyed by time, and by dimensions with outcome, service tier and price version.
    """
    changes: dict[tuple[Key, Key], list[int | None]] = {}
    for run, now, before in changed:
        key = _cost_key(run.values, now)
        added = _cost_counts(run.values, now)
        changes[key] = add_counts(changes[key], added) if key in changes else added
        if before is not None and run.before is not None:
            key = _cost_key(run.before, before)
            negated = negate(_cost_counts(run.before, before))
            changes[key] = add_counts(changes[key], negated) if key in changes else negated
    return changes


def has_decrease(change: Sequence[int | None]) -> bool:
    """True if a change lowers the number of runs, or of priced ones, which may leave none."""
    runs, without_usage, unpriced = (it or 0 for it in change[:3])
    return runs < 0 or runs - without_usage - unpriced < 0


def _cost_key(values: Sequence[Any], cost: RunCost) -> tuple[Key, Key]:
    time, dimensions = rollup_keys(values)
    return time, (*dimensions, values[OUTCOME], values[TIER] or "", cost.price_version)


def _cost_counts(values: Sequence[Any], cost: RunCost) -> list[int | None]:
    is_without_usage = not is_priceable(values[TOKENS])
    is_unpriced = cost.input_nanodollars is None and not is_without_usage
    return [1, int(is_without_usage), int(is_unpriced), *cost[1:]]
