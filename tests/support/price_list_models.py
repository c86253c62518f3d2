"""Every model of the price list, the dates of its prices, and mixes of tokens."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from itertools import product
from random import Random
from typing import NamedTuple

from genai_prices import Usage as ListUsage
from genai_prices.data import providers
from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
)

from projections.folding.rates import MAX_DOLLARS, Rates, calculate_cost
from projections.projectors.listed_model import ListedModel
from tracker.core.usage import TOKEN_COUNTS, Usage

TODAY = datetime(2026, 11, 29, 12, tzinfo=UTC)
_NAMES = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "cached_tokens": "cache_read_tokens",
    "reasoning_tokens": "output_reasoning_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_write_5m_tokens": "cache_write_5m_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
}
_HALF = Decimal("0.5")


class Case(NamedTuple):
    """A model of a provider, a time and a service tier that its prices depend on."""

    provider: Provider
    info: ModelInfo
    moment: datetime
    tier: str | None


def list_models() -> list[tuple[Provider, ModelInfo]]:
    """Returns all models of the list with their providers."""
    return [(provider, info) for provider in providers for info in provider.models]


def list_cases(provider: Provider, info: ModelInfo) -> Iterator[Case]:
    """Yields a model at each of its dates and just before, without and with each of its tiers."""
    tiers = {
        it.when["service_tier"] for it in info.price_variants or () if "service_tier" in it.when
    }
    for moment, tier in product(_moments(info), [None, *sorted(tiers - {"default"})]):
        yield Case(provider, info, moment, tier)


def _moments(info: ModelInfo) -> list[datetime]:
    prices: list[ConditionalPrice | PriceVariant] = list(info.price_variants or ())
    if not isinstance(info.prices, ModelPrice):
        prices += info.prices
    moments = {TODAY, TODAY.replace(hour=3), TODAY.replace(hour=20)}
    for it in prices:
        if isinstance(it.constraint, StartDateConstraint):
            start = datetime.combine(it.constraint.start_date, time(), UTC)
            moments |= {start, start - timedelta(microseconds=1)}
    return sorted(moments)


def make_usage(rng: Random, rates: Rates) -> Usage:
    """Draws a mix of tokens, often at the limits of the prices for long prompts."""
    limits = [above for rate in rates[1:] if rate is not None for above, _ in rate.tiers]
    prompt = rng.choice([0, 1, 7, rng.randrange(2_000_000), *limits, *(it + 1 for it in limits)])
    cached, completion = rng.randint(0, prompt), rng.choice([0, 1, rng.randrange(200_000)])
    written = rng.randint(0, prompt - cached)
    hour = rng.randint(0, written)
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=rng.choice([cached, 0]),
        cache_write_tokens=written,
        cache_write_1h_tokens=rng.choice([None, hour]),
        cache_write_5m_tokens=rng.choice([None, written - hour]),
        reasoning_tokens=rng.choice([None, 0, rng.randint(0, completion)]),
    )


def check_cost(case: Case, model: ListedModel, rng: Random) -> None:
    """Checks that the cost of some tokens is the one that the list itself calculates."""
    rates = model.rates(case.moment, case.tier)
    if rates is None:
        # The list has no price of the tier at this time, and takes that of the default.
        assert case.tier is not None
        assert not _has_tier(case)
        return
    usage = make_usage(rng, rates)
    counts = tuple(getattr(usage, name) for name in TOKEN_COUNTS)
    found = calculate_cost(rates, counts)
    known = {theirs: getattr(usage, ours) for ours, theirs in _NAMES.items()}
    theirs = case.info.calc_price(
        ListUsage(**known),
        case.provider,
        genai_request_timestamp=case.moment,
        price_context={"service_tier": case.tier} if case.tier else None,
    )
    if found is None:
        assert theirs.total_price > MAX_DOLLARS
        return
    assert abs(found.input - theirs.input_price * 10**9) <= _HALF, (case, usage)
    assert abs(found.output - theirs.output_price * 10**9) <= _HALF, (case, usage)
    assert abs(sum(found) - theirs.total_price * 10**9) <= 3 * _HALF, (case, usage)


def _has_tier(case: Case) -> bool:
    return any(
        it.when == {"service_tier": case.tier}
        and (it.constraint is None or it.constraint.active(case.moment))
        for it in case.info.price_variants or ()
    )
