"""A price list of a few models, for both folds."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from projections.folding.rates import Rate, Rates
from tests.second_fold.runs import Run
from tests.support.cost_fixtures import PriceList

VERSION = "second 1"
# A run that costs more is a mistake, and not priced.
LIMIT = 9_000 * 10**9


class Price(NamedTuple):
    """Dollars per million tokens; None for a rate that the list does not have."""

    prompt: str | None
    completion: str | None
    cached: str | None = None
    reasoning: str | None = None
    # Prompt tokens above which another price of the prompt holds, for all of them.
    above: int = 0
    more: str = "0"


# By model and by start; a run costs as much as on the day of its creation.
PRICES: dict[str, list[tuple[datetime, Price]]] = {
    "small": [
        (datetime(2000, 1, 1, tzinfo=UTC), Price("0.15", "0.6", "0.075")),
        (datetime(2025, 4, 6, tzinfo=UTC), Price("0.1", "0.6", "0.0251", "0.7")),
    ],
    "large": [(datetime(2000, 1, 1, tzinfo=UTC), Price("2.5", "10.0005", above=500, more="5"))],
    "ears": [(datetime(2000, 1, 1, tzinfo=UTC), Price("0.0005", None))],
    "m\u00f6del": [(datetime(2025, 3, 9, 7, tzinfo=UTC), Price("1", "3"))],
}


def list_prices() -> PriceList:
    """Returns the list as the views take it."""

    def rate(price: str | None, *tiers: tuple[int, Decimal]) -> Rate | None:
        return None if price is None else Rate(Decimal(price), tiers)

    def rates(name: str, it: Price) -> Rates:
        tiers = ((it.above, Decimal(it.more)),) if it.above else ()
        return Rates(
            f"second/{name}",
            prompt=rate(it.prompt, *tiers),
            completion=rate(it.completion),
            cached=rate(it.cached),
            reasoning=rate(it.reasoning),
        )

    models = {
        name: [(since, rates(name, it)) for since, it in prices] for name, prices in PRICES.items()
    }
    return PriceList(models, VERSION)


def price_run(run: Run) -> tuple[int, int] | None:
    """Returns the billionths of a dollar of both sides of a run; None if it has no price."""
    row: dict[str, Any] = run.row
    begun = [it for since, it in PRICES.get(row["model"] or "", []) if since <= row["created_at"]]
    prompt, completion = row["prompt_tokens"], row["completion_tokens"]
    if not begun or prompt is None or completion is None:
        return None
    # A side without a rate costs nothing.
    price = begun[-1]
    base = price.more if price.above and prompt > price.above else price.prompt
    costs = (
        _cost(prompt, base, row["cached_tokens"], price.cached),
        _cost(completion, price.completion, row["reasoning_tokens"], price.reasoning),
    )
    return None if sum(costs) > LIMIT else costs


def _cost(tokens: int, price: str | None, part: int | None, part_price: str | None) -> int:
    if price is None:
        return 0
    # A part that is larger than the whole is not believed.
    special = part if part and part_price is not None and part <= tokens else 0
    cost = (tokens - special) * Fraction(price) + special * Fraction(part_price or "0")
    return round(cost * 1000)
