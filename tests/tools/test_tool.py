"""A tool by itself: its arguments, its result as text, and what it cannot be."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from tracker.errors import SettingsError, ToolArgumentsRefused
from tracker.tools.tool import Tool, write_text


class Unit(Enum):
    CELSIUS = "celsius"


class Place(BaseModel):
    city: str


@dataclass
class Order:
    number: str


def call(function: Any, arguments: str | None) -> str:
    with ThreadPoolExecutor(1) as threads:
        tool = Tool(function, None, False, None)
        return asyncio.run(tool.call(arguments, threads)).text


def find(
    place: Place,
    day: date,
    unit: Unit = Unit.CELSIUS,
    limit: Annotated[int, Field(gt=0)] = 3,
    *,
    kind: Literal["now", "later"] = "now",
    json: bool = True,
    schema: Any = None,
) -> list[object]:
    return [place.city, day.year, unit.value, limit, kind, json, schema]


def test_arguments_become_values_of_the_annotated_types() -> None:
    given = {"place": {"city": "Oslo"}, "day": "2026-01-02", "limit": 5, "json": False}
    assert json.loads(call(find, json.dumps(given))) == [
        *("Oslo", 2026, "celsius", 5, "now", False, None)
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ('{"place": {"city": "Oslo"}}', "day: Field required"),
        ('{"place": {"city": "Oslo"}, "day": "soon"}', "day: "),
        ('{"place": {}, "day": "2026-01-02"}', "place.city: Field required"),
        ('{"place": {"city": "Oslo"}, "day": "2026-01-02", "limit": 0}', "limit: "),
        ('{"place": {"city": "Oslo"}, "day": "2026-01-02", "more": 1}', "more: Extra"),
        ("[1, 2]", "not a JSON object"),
        ('{"place": ', "not a JSON object"),
        (None, "Field required"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_in_words(arguments: str, said: str) -> None:
    with pytest.raises(ToolArgumentsRefused, match="find") as refused:
        call(find, arguments)
    assert said in str(refused.value)


def test_a_single_parameter_may_come_as_it_is() -> None:
    def approve(question: str) -> bool:
        return question == "May I?"

    assert call(approve, "May I?") == "true"
    assert call(approve, '{"question": "no"}') == "false"


def test_without_parameters_there_is_nothing_to_say() -> None:
    async def tell() -> None:
        return None

    assert [call(tell, it) for it in (None, "", "{}")] == ["", "", ""]


def test_a_function_may_return_what_is_to_be_awaited() -> None:
    async def later(city: str) -> str:
        return city

    assert call(lambda city: later(city), '{"city": "Oslo"}') == "Oslo"


def test_results_become_text() -> None:
    assert write_text("18 °C") == "18 °C"
    assert write_text(None) == ""
    assert write_text({"a": 1.5, "b": [True]}) == '{"a":1.5,"b":[true]}'
    assert write_text(Place(city="Oslo")) == '{"city":"Oslo"}'
    assert write_text(Order("A-1")) == '{"number":"A-1"}'
    assert write_text(date(2026, 1, 2)) == '"2026-01-02"'
    assert "object" in write_text(object())


@given(st.dictionaries(st.sampled_from("abc"), st.integers() | st.text() | st.none()))
def test_any_arguments_are_called_or_refused(given: dict[str, object]) -> None:
    def add(a: int, b: str = "") -> str:
        return f"{a}{b}"

    try:
        text = call(add, json.dumps(given))
    except ToolArgumentsRefused:
        return
    assert given.keys() <= {"a", "b"}
    assert text.startswith(str(int(str(given["a"]))))


def test_a_function_whose_arguments_have_no_names_is_refused() -> None:
    for function in (lambda *a: None, lambda **a: None, lambda a, /: None, "get_weather", max):
        with pytest.raises(SettingsError):
            Tool(function, "it", False, None)  # type: ignore[arg-type]
