"""The cost of tokens at the rates of a price list, in billionths of a dollar."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple, Protocol

# Of one run: more is a mistake, and the sum of a million such runs still fits in 63 bits.
MAX_DOLLARS = 9_000

_NANO = 10**9
# One dollar per million tokens is this many nanodollars per token.
_NANO_PER_TOKEN = 1_000


class Rate(NamedTuple):
    """A price in dollars per million tokens, with other prices for long prompts."""

    base: Decimal
    # Prompt tokens above which a tier applies to all tokens of a run, and its price. Highest first.
    tiers: tuple[tuple[int, Decimal], ...] = ()

    def at(self, prompt_tokens: int) -> Decimal:
        """Returns the price for a run with this number of prompt tokens."""
        for above, price in self.tiers:
            if prompt_tokens > above:
                return price
        return self.base


class Rates(NamedTuple):
    """The rates of a model at a time; None for a rate that the price list does not have."""

    # The names of the provider and the model in the price list.
    name: str
    prompt: Rate | None
    completion: Rate | None
    # Without it, cached tokens cost as much as other prompt tokens.
    cached: Rate | None = None
    # Without it, reasoning tokens cost as much as other completion tokens.
    reasoning: Rate | None = None


class PriceList(Protocol):
    """The rates of models over time."""

    @property
    def version(self) -> str:
        """Names the version of the list; it changes whenever some of its rates do."""
        ...

    def rates(self, model: str, moment: datetime) -> Rates | None:
        """Returns the rates for a run created at `moment`; None for an unknown model."""
        ...


class Cost(NamedTuple):
    """The cost of a run in nanodollars."""

    input: int
    output: int


def is_priceable(tokens: Sequence[int | None]) -> bool:
    """True if prompt and completion tokens are both known; in the order of a run's row."""
    return tokens[0] is not None and tokens[1] is not None


def calculate_cost(rates: Rates, tokens: Sequence[int | None]) -> Cost | None:
    """Returns the cost of tokens, each side rounded to the nearest nanodollar.

    `tokens` are in the order of a run's row. None where a side is unknown or has no rate, or for
    more than MAX_DOLLARS. Cached tokens beyond the prompt tokens are ignored, and so are
    reasoning tokens beyond the completion tokens.
    """
    prompt, completion, _, cached, reasoning = tokens
    if prompt is None or completion is None:
        return None
    if (prompt and rates.prompt is None) or (completion and rates.completion is None):
        return None
    cost = Cost(
        _price_side(prompt, prompt, rates.prompt, cached, rates.cached),
        _price_side(prompt, completion, rates.completion, reasoning, rates.reasoning),
    )
    return None if cost.input + cost.output > MAX_DOLLARS * _NANO else cost


def dollars(nanodollars: int | None) -> Decimal | None:
    """Converts nanodollars to dollars, exactly."""
    return None if nanodollars is None else Decimal(nanodollars).scaleb(-9)


def _price_side(
    prompt: int, tokens: int, rate: Rate | None, part: int | None, part_rate: Rate | None
) -> int:
    if rate is None:
        return 0
    price = rate.at(prompt) * tokens
    if part and part_rate is not None and part <= tokens:
        price += (part_rate.at(prompt) - rate.at(prompt)) * part
    return int((price * _NANO_PER_TOKEN).to_integral_value(ROUND_HALF_EVEN))
