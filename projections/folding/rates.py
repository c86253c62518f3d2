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
# One dollar per thousand requests is this many nanodollars per request.
_NANO_PER_REQUEST = 1_000_000
# The names of the tier that costs what the list says: `auto` leaves the choice to the service.
_DEFAULT_TIERS = frozenset(("auto", "default", "on_demand", "standard"))
_NOTHING = Decimal(0)


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

    def scale(self, factor: Decimal) -> Rate:
        """Returns the rate multiplied by a factor."""
        tiers = tuple((above, price * factor) for above, price in self.tiers)
        return Rate(self.base * factor, tiers)


class Rates(NamedTuple):
    """The rates of a model at a time.

    Tokens of a side without a rate are free. A part of a side without a rate of its own costs as
    much as the rest of the side.
    """

    # The names of the provider and the model in the price list.
    name: str
    prompt: Rate | None
    completion: Rate | None
    cached: Rate | None = None
    reasoning: Rate | None = None
    cache_write: Rate | None = None
    # Without them, such tokens cost as much as others that are written to a cache.
    cache_write_5m: Rate | None = None
    cache_write_1h: Rate | None = None
    # In dollars per thousand requests; each run is one.
    request: Rate | None = None

    def scale(self, factor: Decimal) -> Rates:
        """Returns the rates multiplied by a factor."""
        name, *rates = self
        return Rates(name, *(None if it is None else it.scale(factor) for it in rates))


class PriceList(Protocol):
    """The rates of models over time."""

    @property
    def version(self) -> str:
        """Names the version of the list; it changes whenever some of its rates do."""
        ...

    @property
    def settings(self) -> str | None:
        """Returns the settings that prices depend on beside the list, as JSON; None for none.

        All processes that price for one database need the same.
        """
        ...

    def rates(self, model: str, moment: datetime, tier: str | None = None) -> Rates | None:
        """Returns the rates for a run created at `moment`; None where they are not known.

        `tier` is a service tier other than the default.
        """
        ...


class Cost(NamedTuple):
    """The cost of a run in nanodollars."""

    input: int
    output: int
    request: int = 0


def is_priceable(tokens: Sequence[int | None]) -> bool:
    """True if prompt and completion tokens are both known; in the order of a run's row."""
    return tokens[0] is not None and tokens[1] is not None


def special_tier(tier: str | None) -> str | None:
    """Returns a service tier in lower case; None for the default one."""
    name = (tier or "default").strip().lower()
    return None if name in _DEFAULT_TIERS else name


def calculate_cost(rates: Rates, tokens: Sequence[int | None]) -> Cost | None:
    """Returns the cost of tokens, each part rounded to the nearest nanodollar.

    `tokens` are in the order of a run's row. None where a side is unknown, or for more than
    MAX_DOLLARS. Parts that together exceed the tokens that they are parts of are ignored: cached
    tokens first count, then those written to a cache.
    """
    prompt, completion, _, cached, reasoning, written, five_minutes, _, hour, _ = tokens
    if prompt is None or completion is None:
        return None
    plain = _price(rates.prompt, prompt, _NOTHING)
    input_ = plain * prompt
    if cached and cached <= prompt:
        input_ += (_price(rates.cached, prompt, plain) - plain) * cached
    if written and written + _known(cached, prompt) <= prompt:
        write = _price(rates.cache_write, prompt, plain)
        input_ += (write - plain) * written
        five_minutes, hour = five_minutes or 0, hour or 0
        if five_minutes + hour <= written:
            input_ += (_price(rates.cache_write_5m, prompt, write) - write) * five_minutes
            input_ += (_price(rates.cache_write_1h, prompt, write) - write) * hour
    plain = _price(rates.completion, prompt, _NOTHING)
    output = plain * completion
    if reasoning and reasoning <= completion:
        output += (_price(rates.reasoning, prompt, plain) - plain) * reasoning
    request = _price(rates.request, prompt, _NOTHING)
    cost = Cost(
        _round(input_ * _NANO_PER_TOKEN),
        _round(output * _NANO_PER_TOKEN),
        _round(request * _NANO_PER_REQUEST),
    )
    return None if sum(cost) > MAX_DOLLARS * _NANO else cost


def dollars(nanodollars: int | None) -> Decimal | None:
    """Converts nanodollars to dollars, exactly."""
    return None if nanodollars is None else Decimal(nanodollars).scaleb(-9)


def _price(rate: Rate | None, prompt: int, otherwise: Decimal) -> Decimal:
    return otherwise if rate is None else rate.at(prompt)


def _known(part: int | None, whole: int) -> int:
    return part if part is not None and part <= whole else 0


def _round(nanodollars: Decimal) -> int:
    return int(nanodollars.to_integral_value(ROUND_HALF_EVEN))
