"""Identifiers: which texts can be one, and the keys that are made of them."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tracker.core.identifiers import (
    LONGEST_ID,
    Identifier,
    SourceName,
    fit_key,
    is_identifier,
    is_source_name,
    run_stream,
)

TEXTS = st.text(st.characters(), max_size=40) | st.text(
    st.sampled_from(" \t\x00\x1f\x7f\x80\x9b\u202e\u2066\u200b\ufeffa:\U0001f680"), max_size=4
)
IDENTIFIERS, SOURCES = TypeAdapter(Identifier), TypeAdapter(SourceName)


def accepts(adapter: TypeAdapter[str], text: str) -> bool:
    try:
        return adapter.validate_python(text) == text
    except ValidationError:
        return False


@given(TEXTS)
@example("a" * LONGEST_ID)
@example("a" * (LONGEST_ID + 1))
@example("\U0001f680" * LONGEST_ID)
@example("\ud83d")
def test_both_checks_agree(text: str) -> None:
    assert accepts(IDENTIFIERS, text) is is_identifier(text)
    assert accepts(SOURCES, text) is is_source_name(text)


@given(st.text(st.characters(categories=["Cc", "Cf", "Zs", "Zl", "Zp"]), max_size=20))
@example("  ")
@example("\u202e\u2066")
@example("\x85\x9b")
def test_a_text_without_a_visible_character_is_none(text: str) -> None:
    assert not is_identifier(text)
    if not any(unicodedata.category(it) == "Cc" and it < "\x80" for it in text):
        assert is_identifier(f"{text}a")


@pytest.mark.parametrize("value", [None, 3, b"run_1", ["run_1"], True])
def test_another_value_is_none(value: object) -> None:
    assert not is_identifier(value)


@given(st.text(max_size=3000), st.text(max_size=3000))
@example("a" * 3000, "a" * 2999)
@example("a" * 512, "a" * 513)
def test_two_texts_have_two_keys_that_fit(one: str, other: str) -> None:
    keys = [fit_key(one), fit_key(other)]
    assert all(len(key.encode()) <= 512 for key in keys)
    assert (keys[0] == keys[1]) is (one == other)
    assert fit_key(keys[0]) == keys[0]


NAMES = st.text(st.sampled_from("ab:"), min_size=1, max_size=6)


@given(NAMES.filter(is_source_name), NAMES, NAMES.filter(is_source_name), NAMES)
def test_runs_of_two_sources_never_share_a_stream(a: str, b: str, c: str, d: str) -> None:
    assert (run_stream(a, b) == run_stream(c, d)) is ((a, b) == (c, d))
