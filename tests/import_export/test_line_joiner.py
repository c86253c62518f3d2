"""Documents of several lines: joined whatever their layout, and never at the cost of others."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tracker.import_export.line_joiner import join_lines

LONGEST = 1_000_000
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from('a{}[]",:\\\n '), max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text('a{"]', max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text('ab{}[]"', max_size=3), VALUES, min_size=1, max_size=4)
LAYOUTS = st.sampled_from([None, 0, 1, 2, "\t"])


def joined(text: str, longest: int = LONGEST) -> list[tuple[int, bytes, str | None]]:
    lines = text.encode().splitlines(keepends=True)
    numbered = ((number, line, None) for number, line in enumerate(lines, 1))
    return list(join_lines(numbered, longest))


def documents(text: str) -> list[Any]:
    return [json.loads(content) for _, content, _ in joined(text) if content.strip()]


@given(st.lists(st.tuples(OBJECTS, LAYOUTS), max_size=5))
def test_documents_of_any_layout_come_back(parts: list[tuple[Any, Any]]) -> None:
    text = "".join(f"{json.dumps(value, indent=indent)}\n" for value, indent in parts)
    assert documents(text) == [value for value, _ in parts]


@given(st.lists(OBJECTS, min_size=1, max_size=5), st.sampled_from([0, 1, 2, "\t"]))
def test_the_elements_of_an_array_are_documents(values: list[Any], indent: Any) -> None:
    assert documents(json.dumps(values, indent=indent)) == values
    lines = ",\n".join(json.dumps(value) for value in values)
    assert documents(f"[\n{lines}\n]\n") == values


@given(st.lists(OBJECTS, min_size=1, max_size=5), OBJECTS, st.data())
def test_a_line_that_was_cut_takes_no_other_with_it(
    values: list[Any], cut: Any, data: st.DataObject
) -> None:
    whole = json.dumps(cut)
    part = whole[: data.draw(st.integers(1, len(whole) - 1))]
    good = [json.dumps(value) for value in values]
    found = [content.strip().decode() for _, content, _ in joined("\n".join([part, *good]))]
    # What was cut after a colon may go on with the next line, and then is one with it.
    kept = found[-len(good) :]
    assert kept[1:] == good[1:]
    assert kept[0] == good[0] or part.rstrip().endswith(":")


def test_the_number_is_that_of_the_first_line() -> None:
    text = '\n{\n "a": 1\n}\n{"b": 2}\n[\n{"c": 3},\n{\n"d": 4\n}\n]\n{"e": 5}'
    found = [
        (number, json.loads(content)) for number, content, _ in joined(text) if content.strip()
    ]
    assert found == [(2, {"a": 1}), (5, {"b": 2}), (7, {"c": 3}), (8, {"d": 4}), (12, {"e": 5})]


def test_a_document_that_is_too_long_is_left_as_its_lines() -> None:
    text = json.dumps({"a": list(range(100))}, indent=1)
    assert len(joined(text, longest=50)) == len(text.splitlines())
