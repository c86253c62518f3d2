"""Values that can be stored, and snapshots and events of any others."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import reduce
from math import inf, nan
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from tracker.core.decider import decide
from tracker.core.json_values import DEPTH_LIMIT, storable
from tracker.core.snapshot import Configuration, RunSnapshot
from tracker.core.state import initial_state
from tracker.event_store.codec import decode, encode

NOW = datetime(2026, 1, 1, tzinfo=UTC)

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=5)
    | st.binary(max_size=3)
    | st.decimals()
    | st.frozensets(st.text(max_size=3), max_size=3)
)
anything = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=12,
)
objects = st.dictionaries(st.text(st.characters(exclude_categories=()), max_size=5), anything)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


@given(anything)
def test_a_storable_value_reads_back_as_it_is(value: Any) -> None:
    kept = storable(value)
    assert from_json(to_json(kept)) == kept
    assert storable(kept) is kept


@given(st.dictionaries(st.text(max_size=5), st.integers(-(2**63), 2**63 - 1)))
def test_values_that_json_has_stay_the_same_object(value: dict[str, int]) -> None:
    whole = {"a": value, "b": [value, "text", 1.5, None, True]}
    assert storable(whole) is whole


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (2**63, None),
        (-(2**63) - 1, None),
        (2**63 - 1, 2**63 - 1),
        (nan, None),
        (-inf, None),
        ("a\ud800b", "a?b"),
        ((1, 2), [1, 2]),
        ({"b", "a"}, ["a", "b"]),
        ({1: "x"}, {"1": "x"}),
        (Decimal("1.50"), "1.50"),
        (b"x", None),
        (object(), None),
    ],
)
def test_other_values_are_replaced(value: Any, kept: Any) -> None:
    assert storable(value) == kept


def test_an_integer_that_python_refuses_to_write_is_replaced() -> None:
    huge = 10**5000
    assert storable({"a": huge, huge: {huge}}) == {"a": None, "None": [None]}


def test_levels_beyond_the_limit_are_cut() -> None:
    deepest = nested(DEPTH_LIMIT)
    assert storable(deepest) is deepest
    assert storable(nested(DEPTH_LIMIT + 1)) == storable(nested(5000)) != deepest


def test_sets_within_sets_are_cut_at_the_limit() -> None:
    deep: frozenset[Any] = reduce(lambda inner, _: frozenset({inner}), range(100), frozenset("a"))
    kept, levels = storable(deep), 0
    while kept is not None:
        [kept], levels = kept, levels + 1
    assert levels == DEPTH_LIMIT


def test_a_mapping_that_is_no_dict_is_kept_and_checked() -> None:
    def of(metadata: Any) -> RunSnapshot:
        return RunSnapshot(
            source="assistants", run_id="run_1", observed_at=NOW, status="queued", metadata=metadata
        )

    kept, replaced = of(MappingProxyType({"a": 1})), of(MappingProxyType({"a": nan}))
    assert (kept.metadata, kept.peculiarities) == ({"a": 1}, frozenset())
    assert (replaced.metadata, replaced.peculiarities) == ({"a": None}, {"unstorable_metadata"})


@given(objects, objects, st.lists(objects, max_size=2))
def test_every_event_of_a_snapshot_decodes_to_an_equal_event(
    metadata: dict[str, Any], settings: dict[str, Any], tools: list[dict[str, Any]]
) -> None:
    snapshot = RunSnapshot(
        source="assistants",
        run_id="run_1",
        observed_at=NOW,
        status="queued",
        metadata=metadata,
        configuration=Configuration(tools=tuple(tools), settings=settings),
    )
    [created] = decide(initial_state, snapshot)
    assert decode(*encode(created)) == created
    configuration = snapshot.configuration
    assert configuration is not None
    assert Configuration.model_validate_json(configuration.model_dump_json()) == configuration


def test_a_snapshot_names_the_fields_that_it_could_not_keep() -> None:
    def of(**fields: Any) -> frozenset[str]:
        return RunSnapshot(
            source="assistants", run_id="run_1", observed_at=NOW, status="queued", **fields
        ).peculiarities

    deep = nested(199)
    assert of(metadata={"a": 1}, configuration=Configuration(settings={"b": 2})) == set()
    assert of(metadata=deep) == {"unstorable_metadata"}
    assert of(metadata={"a": nan}, peculiarities=frozenset({"no_model"})) == {
        "unstorable_metadata",
        "no_model",
    }
    for odd in (Configuration(tools=(deep,)), Configuration(settings=deep)):
        assert of(configuration=odd) == {"unstorable_configuration"}
