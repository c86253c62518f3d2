"""Arithmetic of rates, equal to that of the real price list, only faster."""

from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version

import pytest
from genai_prices import Usage, calc_price
from hypothesis import given
from hypothesis import strategies as st

from projections.folding.rates import MAX_DOLLARS, Cost, Rate, Rates, calculate_cost, dollars
from projections.projectors.prices import Prices
from tests.support.cost_fixtures import FIRST
from tracker.errors import SettingsError

MOMENT = datetime(2026, 1, 2, 18, 30, tzinfo=UTC)
COUNT = st.integers(0, 3_000_000)


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


def test_nothing_is_priced_without_what_it_takes() -> None:
    for tokens in ((None, 5, 5, None, None), (5, None, 5, None, None)):
        assert calculate_cost(FIRST, tokens) is None
    only_input = Rates("fake/embeds", Rate(Decimal(2)), None)
    assert calculate_cost(only_input, (5, 1, None, None, None)) is None
    assert calculate_cost(only_input, (5, 0, None, None, None)) == Cost(10_000, 0)
    assert calculate_cost(Rates("fake/sounds", None, None), (5, 0, None, None, None)) is None


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


MODELS = ["gpt-4o", "gpt-4.1-mini", "o3", "claude-sonnet-4-5", "gemini-2.5-pro", "deepseek-chat"]


@given(st.sampled_from(MODELS), COUNT, COUNT, st.floats(0, 1), st.integers(0, 23))
def test_costs_are_those_that_the_list_itself_gives(
    model: str, prompt: int, completion: int, share: float, hour: int
) -> None:
    cached, moment = int(prompt * share), MOMENT.replace(hour=hour)
    rates = PRICES.rates(model, moment)
    assert rates is not None
    found = calculate_cost(rates, (prompt, completion, None, cached, None))
    usage = Usage(input_tokens=prompt, output_tokens=completion, cache_read_tokens=cached)
    theirs = calc_price(usage, model, genai_request_timestamp=moment)
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
