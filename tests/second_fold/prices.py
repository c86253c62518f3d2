"""A price list of a few models, for both folds."""

from __future__ import annotations

from collections.abc import Sequence
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
    written: str | None = None
    written_5m: str | None = None
    written_1h: str | None = None
    # Dollars per thousand requests.
    request: str | None = None
    # Prompt tokens above which another price of the prompt holds, for all of them.
    above: int = 0
    more: str = "0"


ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)
# By model and by start; a run costs as much as on the day of its creation.
PRICES: dict[str, list[tuple[datetime, Price]]] = {
    "small": [
        (ALWAYS, Price("0.15", "0.6", "0.075", written="0.1875")),
        (
            datetime(2025, 4, 6, tzinfo=UTC),
            Price("0.1", "0.6", "0.0251", "0.7", "0.125", "0.1337", "0.2"),
        ),
    ],
    "large": [(ALWAYS, Price("2.5", "10.0005", written_1h="5", above=500, more="5"))],
    "ears": [(ALWAYS, Price("0.0005", None))],
    "asks": [(ALWAYS, Price("1", "2", request="12.5005"))],
    "m\u00f6del": [(datetime(2025, 3, 9, 7, tzinfo=UTC), Price("1", "3"))],
}
# How many times as much a model costs in a tier that the list knows; it knows no others.
TIERS = {("small", "flex"): "0.5", ("large", "priority"): "1.75", ("asks", "flex"): "0.3"}
DEFAULTS = ("", "auto", "default", "on_demand", "standard")


class TieredPriceList(NamedTuple):
    """A price list with a few tiers."""

    inner: PriceList
    version: str = VERSION
    settings: str | None = None

    def rates(self, model: str, moment: datetime, tier: str | None = None) -> Rates | None:
        """Returns the rates of a model, in a tier if it has this one."""
        found = self.inner.rates(model, moment)
        if found is None or tier is None:
            return found
        factor = TIERS.get((model, tier))
        return None if factor is None else found.scale(Decimal(factor))


def list_prices() -> TieredPriceList:
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
            cache_write=rate(it.written),
            cache_write_5m=rate(it.written_5m),
            cache_write_1h=rate(it.written_1h),
            request=rate(it.request),
        )

    models = {
        name: [(since, rates(name, it)) for since, it in prices] for name, prices in PRICES.items()
    }
    return TieredPriceList(PriceList(models, VERSION))


def price_run(run: Run) -> tuple[int, int, int] | None:
    """Returns the billionths of a dollar of a run: of both sides, and of the request.

    None if it has no price.
    """
    row: dict[str, Any] = run.row
    model = row["model"] or ""
    begun = [it for since, it in PRICES.get(model, []) if since <= row["created_at"]]
    prompt, completion = row["prompt_tokens"], row["completion_tokens"]
    if not begun or prompt is None or completion is None:
        return None
    factor = _find_factor(model, (row["service_tier"] or "").strip().lower())
    if factor is None:
        return None
    price = begun[-1]
    base = price.more if price.above and prompt > price.above else price.prompt
    costs = (
        _sum(_split_prompt(row, prompt, price), base, factor),
        _sum(
            _split(completion, [(row["reasoning_tokens"], price.reasoning)]),
            price.completion,
            factor,
        ),
        round(Fraction(price.request or "0") * factor * 10**6),
    )
    return None if sum(costs) > LIMIT else costs


def _find_factor(model: str, tier: str) -> Fraction | None:
    found = "1" if tier in DEFAULTS else TIERS.get((model, tier))
    return None if found is None else Fraction(found)


# Tokens of one price each; None is the price of the side.
Parts = list[tuple[int, str | None]]


def _split_prompt(row: dict[str, Any], prompt: int, price: Price) -> Parts:
    """Returns the tokens read from a cache, those written to it by lifetime, and the rest."""
    parts = _split(
        prompt, [(row["cached_tokens"], price.cached), (row["cache_write_tokens"], price.written)]
    )
    written = row["cache_write_tokens"] or 0
    if (written, price.written) not in parts[1:]:
        return parts
    parts.remove((written, price.written))
    brief, long = (row[f"cache_write_{it}_tokens"] or 0 for it in ("5m", "1h"))
    if brief + long > written:
        brief = long = 0
    return [
        *parts,
        (brief, price.written_5m or price.written),
        (long, price.written_1h or price.written),
        (written - brief - long, price.written),
    ]


def _split(whole: int, parts: Sequence[tuple[int | None, str | None]]) -> Parts:
    """Returns the rest of a whole first, then its parts.

    A part that is larger than what the parts before it leave is not believed.
    """
    rest, believed = whole, []
    for tokens, price in parts:
        if tokens and tokens <= rest:
            rest -= tokens
            believed.append((tokens, price))
    return [(rest, None), *believed]


def _sum(parts: Parts, base: str | None, factor: Fraction) -> int:
    """Returns the price of all parts; without any price they cost nothing."""
    cost = sum(tokens * Fraction(price or base or "0") for tokens, price in parts)
    return round(cost * factor * 1000)
