"""What tokens cost at the rates of a price list: pure arithmetic, in billionths of a dollar."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple, Protocol

# Of one run: more is a mistake, and a million of them still have a sum in 63 bits.
MOST_DOLLARS = 9_000

_NANO = 10**9
# A dollar for a million tokens is so many nanodollars for each.
_EACH = 1_000


class Rate(NamedTuple):
    """Dollars for a million tokens; `steps` have other rates, the one from most tokens on first.

    A step counts for all tokens of a run with more prompt tokens than it begins at.
    """

    base: Decimal
    steps: tuple[tuple[int, Decimal], ...] = ()

    def at(self, prompt_tokens: int) -> Decimal:
        """The rate for a run of so many prompt tokens."""
        for begin, dollars in self.steps:
            if prompt_tokens > begin:
                return dollars
        return self.base


class Rates(NamedTuple):
    """The rates of a model at a time; None where the list has none of that kind.

    Cached tokens without a rate cost what other prompt tokens do, reasoning what other
    completion tokens do. `name` is how the list calls the provider and the model.
    """

    name: str
    prompt: Rate | None
    completion: Rate | None
    cached: Rate | None = None
    reasoning: Rate | None = None


class PriceList(Protocol):
    """Rates of models, by time. `version` names all that the same question is answered with."""

    @property
    def version(self) -> str: ...

    def rates(self, model: str, moment: datetime) -> Rates | None:
        """The rates of a model for a run created at `moment`; None where it is not known."""
        ...


class Cost(NamedTuple):
    """What a run cost, in nanodollars."""

    input: int
    output: int


def is_usage(tokens: Sequence[int | None]) -> bool:
    """Whether tokens, in the order of a run's row, can be priced: both sides are known."""
    return tokens[0] is not None and tokens[1] is not None


def cost_of(rates: Rates, tokens: Sequence[int | None]) -> Cost | None:
    """The cost of tokens, in the order of a run's row, each side to the nearest nanodollar.

    None where a side is not known or has no rate, or for more than MOST_DOLLARS. More cached
    tokens than prompt tokens, or more reasoning than completion, are not believed.
    """
    prompt, completion, _, cached, reasoning = tokens
    if prompt is None or completion is None:
        return None
    if (prompt and rates.prompt is None) or (completion and rates.completion is None):
        return None
    cost = Cost(
        _side(prompt, prompt, rates.prompt, cached, rates.cached),
        _side(prompt, completion, rates.completion, reasoning, rates.reasoning),
    )
    return None if cost.input + cost.output > MOST_DOLLARS * _NANO else cost


def dollars(nanodollars: int | None) -> Decimal | None:
    """Nanodollars as dollars, exactly."""
    return None if nanodollars is None else Decimal(nanodollars).scaleb(-9)


def _side(prompt: int, tokens: int, rate: Rate | None, part: int | None, other: Rate | None) -> int:
    if rate is None:
        return 0
    price = rate.at(prompt) * tokens
    if part and other is not None and part <= tokens:
        price += (other.at(prompt) - rate.at(prompt)) * part
    return int((price * _EACH).to_integral_value(ROUND_HALF_EVEN))
