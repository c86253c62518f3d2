"""What ended runs cost and add to the rollups of costs, as pure arithmetic of their rows.

What was counted of a run is kept beside it. Where its usage is corrected later, that is taken
away again, from the sums of the prices that it was counted under, and it is counted anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from projections.folding.batch_fold import FoldedRun
from projections.folding.micros import moment_of
from projections.folding.rates import PriceList, cost_of, is_usage
from projections.folding.rollups import Key, place, plus_usage
from projections.row_types import RunRow

_INDEX = RunRow._fields.index
_MODEL, _OUTCOME, _CREATED = map(_INDEX, ("model", "outcome", "created_at"))
_TOKENS = slice(_INDEX("prompt_tokens"), _INDEX("reasoning_tokens") + 1)


class Counted(NamedTuple):
    """What is counted of a run, in the order of `run_costs` after its key.

    The costs are None where nothing could be priced.
    """

    price_version: str
    input_nanodollars: int | None
    output_nanodollars: int | None


class Recount(NamedTuple):
    """A run with what is counted of it from now on, and what was before, if anything."""

    run: FoldedRun
    now: Counted
    before: Counted | None


def is_recounted(run: FoldedRun) -> bool:
    """Whether a batch ended a run, or changed its usage."""
    if run.values[_OUTCOME] is None:
        return False
    return run.before is None or run.before[_TOKENS] != run.values[_TOKENS]


def price(values: Sequence[Any], prices: PriceList) -> Counted:
    """What a run costs at the prices of the time of its creation."""
    tokens, model, created = values[_TOKENS], values[_MODEL], moment_of(values[_CREATED])
    if model and created is not None and is_usage(tokens):
        rates = prices.rates(model, created)
        cost = None if rates is None else cost_of(rates, tokens)
        if cost is not None:
            return Counted(prices.version, *cost)
    return Counted(prices.version, None, None)


def cost_changes(recounts: Iterable[Recount]) -> dict[tuple[Key, Key], list[int | None]]:
    """By time and kind with outcome and price version: what a batch of runs adds to the costs."""
    changes: dict[tuple[Key, Key], list[int | None]] = {}
    for run, now, before in recounts:
        time, kind = place(run.values)
        outcome = run.values[_OUTCOME]
        key = (time, (*kind, outcome, now.price_version))
        added = _adds(run.values, now)
        changes[key] = plus_usage(changes[key], added) if key in changes else added
        if before is not None and run.before is not None:
            key = (time, (*kind, outcome, before.price_version))
            taken = [None if it is None else -it for it in _adds(run.before, before)]
            changes[key] = plus_usage(changes[key], taken) if key in changes else taken
    return changes


def may_empty(added: Sequence[int | None]) -> bool:
    """Whether fewer runs, or fewer with a price, may leave none."""
    number, silent, unpriced = (it or 0 for it in added[:3])
    return number < 0 or number - silent - unpriced < 0


def _adds(values: Sequence[Any], counted: Counted) -> list[int | None]:
    silent = not is_usage(values[_TOKENS])
    unpriced = counted.input_nanodollars is None and not silent
    return [1, int(silent), int(unpriced), *counted[1:]]
