"""Arithmetic of rates, equal to that of the real price list, only faster."""

from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from random import Random
from typing import Any

import pytest
from genai_prices import Usage, calc_price
from hypothesis import given
from hypothesis import strategies as st

from projections.folding.rates import (
    MAX_DOLLARS,
    Cost,
    Rate,
    Rates,
    dollars,
    special_tier,
)
from projections.folding.rates import calculate_cost as calculate
from projections.projectors.listed_model import ListedModel
from projections.projectors.prices import Prices
from tests.support.cost_fixtures import FIRST
from tests.support.price_list_models import check_cost, list_cases, list_models
from tracker.errors import SettingsError

MOMENT = datetime(2026, 1, 2, 18, 30, tzinfo=UTC)
COUNT = st.integers(0, 3_000_000)
MODELS_OF_LIST = list_models()
WRITES = FIRST._replace(
    cache_write=Rate(Decimal(3)), cache_write_5m=Rate(Decimal(4)), cache_write_1h=Rate(Decimal(6))
)


def calculate_cost(rates: Rates, tokens: tuple[int | None, ...]) -> Cost | None:
    """Returns the cost of counts of which those that were written to a cache may be left out."""
    return calculate(rates, (*tokens, *[None] * (10 - len(tokens))))


def test_each_kind_of_tokens_has_its_rate() -> None:
    assert calculate_cost(FIRST, (1000, 100, None, None, None)) == Cost(2_000_000, 800_000)
    assert calculate_cost(FIRST, (1000, 100, None, 400, 50)) == Cost(1_400_000, 800_000)
    reasoning = FIRST._replace(reasoning=Rate(Decimal(10)))
    assert calculate_cost(reasoning, (0, 100, 100, None, 50)) == Cost(0, 900_000)
    uncached = FIRST._replace(cached=None)
    assert calculate_cost(uncached, (1000, 0, None, 400, None)) == Cost(2_000_000, 0)


def test_what_cannot_be_is_not_believed() -> None:
    assert calculate_cost(FIRST, (10, 0, None, 11, None)) == calculate_cost(
        FIRST, (10, 0, None, None, None)
    )
    too_many = int(MAX_DOLLARS * 10**6 / 2)
    assert calculate_cost(FIRST, (too_many, 0, None, None, None)) == Cost(9_000 * 10**9, 0)
    assert calculate_cost(FIRST, (too_many + 1, 0, None, None, None)) is None


def test_nothing_is_priced_without_both_counts() -> None:
    for tokens in ((None, 5, 5, None, None), (5, None, 5, None, None)):
        assert calculate_cost(FIRST, tokens) is None


def test_a_side_without_a_rate_is_free() -> None:
    embedding = Rates("fake/embeds", Rate(Decimal(2)), None)
    assert calculate_cost(embedding, (5, 0, None, None, None)) == Cost(10_000, 0)
    assert calculate_cost(embedding, (5, 1, None, None, None)) == Cost(10_000, 0)
    free = Rates("fake/free", None, None)
    assert calculate_cost(free, (5, 7, None, 2, 3, 1)) == Cost(0, 0)
    part = free._replace(cached=Rate(Decimal(1)))
    assert calculate_cost(part, (5, 7, None, 2, None)) == Cost(2_000, 0)


def test_each_lifetime_in_the_cache_has_its_rate() -> None:
    def input_cost(rates: Rates, *written: int | None) -> int:
        cost = calculate_cost(rates, (1000, 0, None, 400, None, *written))
        assert cost is not None
        return cost.input

    # 600 at 2 dollars and 400 at half a dollar a million.
    plain = 1_400_000
    assert input_cost(WRITES, None) == input_cost(WRITES, 0) == plain
    assert input_cost(WRITES, 100) == plain + 100 * 1_000
    assert input_cost(WRITES, 100, 10, 20, 30, 40) == (plain + 60 * 1_000 + 10 * 2_000 + 30 * 4_000)
    # Only the hour has a rate of its own.
    hour = WRITES._replace(cache_write_5m=None)
    assert input_cost(hour, 100, 10, 0, 30, 0) == plain + 70 * 1_000 + 30 * 4_000
    # Without a rate for writes they cost as other prompt tokens.
    assert input_cost(FIRST, 100, 10, 0, 30, 0) == plain
    # Lifetimes beyond what was written, and more written than the rest of the prompt.
    assert input_cost(WRITES, 100, 80, 0, 21, 0) == plain + 100 * 1_000
    assert input_cost(WRITES, 601) == plain


def test_a_request_has_a_price() -> None:
    asked = FIRST._replace(request=Rate(Decimal(12)))
    assert calculate_cost(asked, (0, 0, None, None, None)) == Cost(0, 0, 12_000_000)


@pytest.mark.parametrize("name", [None, "", "auto", "default", "Standard", "on_demand"])
def test_the_default_tier_has_several_names(name: str | None) -> None:
    assert special_tier(name) is None
    assert special_tier(" Flex ") == "flex"


def test_a_step_counts_for_all_tokens() -> None:
    steps = ((300, Decimal(4)), (200, Decimal(3)))
    stepped = Rates("fake/long", Rate(Decimal(1), steps), Rate(Decimal(5), ((200, Decimal(7)),)))
    found = [calculate_cost(stepped, (prompt, 1, None, None, None)) for prompt in (200, 201, 301)]
    assert found == [Cost(200_000, 5_000), Cost(603_000, 7_000), Cost(1_204_000, 7_000)]


def test_halves_are_rounded_to_even_and_dollars_are_exact() -> None:
    half = FIRST._replace(prompt=Rate(Decimal("0.0005")))
    found = [calculate_cost(half, (prompt, 0, None, None, None)) for prompt in (1, 3)]
    assert found == [Cost(0, 0), Cost(2, 0)]
    assert (dollars(None), dollars(2_200_000)) == (None, Decimal("0.0022"))


def test_costs_of_every_model_are_those_that_the_list_itself_gives() -> None:
    rng = Random(0)
    for provider, info in MODELS_OF_LIST:
        check_cost(rng.choice(list(list_cases(provider, info))), ListedModel(provider, info), rng)


@pytest.mark.seeds
def test_costs_at_every_date_and_in_every_tier_are_those_of_the_list() -> None:
    rng = Random(0)
    for provider, info in MODELS_OF_LIST:
        model = ListedModel(provider, info)
        for case in list_cases(provider, info):
            for _ in range(20):
                check_cost(case, model, rng)


NAMES = [
    "gpt-4o",
    "gpt-6-sol",
    "claude-sonnet-4-5",
    "gemini-2.5-pro",
    "o3",
    "claude-haiku-4-5",
]


@given(st.sampled_from(NAMES), COUNT, COUNT, st.floats(0, 1), st.integers(0, 23))
def test_a_name_leads_to_the_model_that_the_list_finds(
    name: str, prompt: int, completion: int, share: float, hour: int
) -> None:
    cached, moment = int(prompt * share), MOMENT.replace(hour=hour)
    rates = PRICES.rates(name, moment)
    assert rates is not None
    written = (prompt - cached) // 2
    found = calculate_cost(rates, (prompt, completion, None, cached, None, written))
    usage = Usage(
        input_tokens=prompt,
        output_tokens=completion,
        cache_read_tokens=cached,
        cache_write_tokens=written,
    )
    theirs = calc_price(usage, name, genai_request_timestamp=moment)
    assert found is not None
    assert abs(found.input - theirs.input_price * 10**9) <= Decimal("0.5")
    assert abs(found.output - theirs.output_price * 10**9) <= Decimal("0.5")
    assert rates.name == f"{theirs.provider.id}/{theirs.model.id}"


PRICES = Prices()


def test_the_version_names_the_list_and_what_is_said_beside_it() -> None:
    mapped = Prices(models={"ours": "gpt-4o"})
    assert PRICES.version == version("genai-prices")
    assert mapped.version.startswith(f"{PRICES.version}+")
    assert mapped.version == Prices(models={"ours": "gpt-4o"}).version
    assert len({mapped.version, PRICES.version, Prices(provider="azure").version}) == 3


def test_a_deployment_is_priced_as_its_model() -> None:
    azure = Prices(models={"ours": "gpt-4o"}, provider="azure")
    found, theirs = azure.rates("ours", MOMENT), azure.rates("gpt-4o", MOMENT)
    assert found == theirs is not None
    assert found is not None
    assert found.name.startswith("azure/")
    assert azure.rates("theirs", MOMENT) is None
    assert PRICES.rates("ours", MOMENT) is None


def test_an_unknown_provider_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"no provider 'mars' in the price list: .*azure"):
        Prices(provider="mars")


def test_a_tier_costs_what_is_told_or_listed_and_else_has_no_price() -> None:
    told = Prices(tiers={"Flex": 0.5, "scale": Decimal("1.1")})
    default = told.rates("gpt-4o", MOMENT)
    assert default is not None
    assert told.rates("gpt-4o", MOMENT, "flex") == default.scale(Decimal("0.5"))
    assert told.rates("gpt-4o", MOMENT, "scale") == default.scale(Decimal("1.1"))
    assert told.rates("gpt-4o", MOMENT, "priority") is None
    listed = Prices().rates("gpt-6-sol", datetime(2026, 11, 1, tzinfo=UTC), "flex")
    assert listed is not None
    assert listed.completion is not None
    assert listed.completion.base == 5
    # The list has had prices of tiers since October 2026.
    assert Prices().rates("gpt-6-sol", MOMENT, "flex") is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tiers": {"flex": "half"}}, "the factor of the tier 'flex' is a number from 0 to 1000"),
        ({"tiers": {"flex": -1}}, "not -1"),
        ({"tiers": {"flex": True}}, "not True"),
        ({"tiers": ["flex"]}, "are mappings"),
        ({"models": "gpt-4o"}, "are mappings"),
        ({"models": {"ours": 4}}, "maps names to names"),
    ],
)
def test_settings_of_another_type_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Prices(**settings)


def test_equal_settings_are_equal_text() -> None:
    one = Prices(models={"a": "o3", "b": "o4-mini"}, tiers={"flex": "0.50"})
    other = Prices(models={"b": "o4-mini", "a": "o3"}, tiers={"FLEX": 0.5})
    assert one.settings == other.settings
    assert one.version == other.version
    assert Prices(models={}).settings is PRICES.settings is None
