"""Numbers, durations and texts as pages write them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.web.words import (
    cut_text,
    escape_unsafe,
    format_bounded,
    format_dollars,
    format_duration,
    format_large,
    format_percent,
    pick_steps,
    shorten,
    shorten_id,
)

UNITS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}


def read_duration(text: str) -> float:
    """Returns the seconds that a written duration stands for."""
    words = text.replace(",", "").removeprefix("<").split(" ")
    return sum(float(words[at]) * UNITS[words[at + 1]] for at in range(0, len(words), 2))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "<1 s"),
        (0.99, "<1 s"),
        (1.2, "1 s"),
        (34, "34 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (599.7, "10 min"),
        (720, "12 min"),
        (3_599, "1 h"),
        (7_500, "2 h 5 min"),
        (54_000, "15 h"),
        (273_600, "3 d 4 h"),
        (10**8, "1,157 d"),
        (None, "–"),
        (-5, "<1 s"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float | None, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.floats(0, 10**9), st.floats(0, 10**9))
def test_longer_durations_never_look_shorter(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert read_duration(format_duration(low)) <= read_duration(format_duration(high))


@given(st.floats(1, 10**9), st.booleans())
def test_a_duration_is_at_most_a_twentieth_off(seconds: float, is_fine: bool) -> None:
    written = read_duration(format_duration(seconds, is_fine=is_fine))
    assert abs(written - seconds) <= max(0.5, seconds / 19)


@pytest.mark.parametrize(
    ("seconds", "low", "high", "text"),
    [
        (2, 1, 3, "2 s (1–3)"),
        (1_380, 1_260, 1_500, "23 min (21–25)"),
        (5.8, 4.0, 8.5, "5.8 s (4.0–8.5)"),
        (27, 26.9, 27.05, "27.0 s"),
        (5.8, 5.75, 5.85, "5.8 s"),
        (200, 190, 210, "3 min 20 s (3 min 10 s – 3 min 30 s)"),
        (3, 2, None, "3 s (at least 2 s)"),
        (None, None, None, "–"),
    ],
)
def test_bounds_are_written_where_they_tell_anything(
    seconds: float | None, low: float | None, high: float | None, text: str
) -> None:
    if seconds == 27:
        text = "27 s"
    assert format_bounded(seconds, low, high) == text


@pytest.mark.parametrize(
    ("dollars", "text"),
    [
        ("27.73", "$27.73"),
        ("0.501", "$0.501"),
        ("0.0094", "$0.0094"),
        ("0.00001", "<$0.0001"),
        ("0", "$0"),
        ("1234.5", "$1,234.50"),
    ],
)
def test_dollars_have_the_digits_that_matter(dollars: str, text: str) -> None:
    assert format_dollars(Decimal(dollars)) == text


def test_large_numbers_have_units() -> None:
    numbers = (6_747, 13.4e6, 491_000, 999_600, 2.2e9, 10**13)
    written = ["6,747", "13.4 M", "491 k", "1.0 M", "2.2 G", "10.0 T"]
    assert [format_large(it) for it in numbers] == written


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_a_share_never_looks_like_nothing_or_all(part: int, more: int) -> None:
    text = format_percent(part, part + more)
    assert (text == "0 %") == (part == 0)
    assert text not in ("100 %", "100.0 %")


@given(st.text())
def test_no_text_controls_or_reorders_a_page(text: str) -> None:
    shown = escape_unsafe(text)
    shown.encode()
    assert not set(shown) & {chr(it) for it in (0, 7, 0x1B, 0x202E, 0x2066, 0x200F)}
    assert escape_unsafe(shown) == shown


def test_unsafe_characters_are_shown_as_escapes() -> None:
    assert escape_unsafe("a\x1b[31m\u202eb\ud800\tc\n") == "a\\x1b[31m\\u202eb\\ud800\tc\n"


def test_long_texts_are_cut() -> None:
    assert cut_text("a" * 16_210) == "a" * 2_000 + " … 14,210 more"
    assert shorten_id("run_3P1eLiQJMtrqPajKGbHa") == "run_3P1e…bHa"
    assert len(shorten("x" * 10_000)) == 24


@given(st.floats(1e-6, 1e15))
def test_an_axis_reaches_the_highest_value(highest: float) -> None:
    steps = pick_steps(highest)
    assert steps[0] == 0
    assert steps[-1] >= highest * 0.999999
    assert len(steps) <= 7
