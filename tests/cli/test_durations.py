"""Durations for people: no more digits than the bounds support."""

import pytest

from tracker.cli.durations import format_duration


@pytest.mark.parametrize(
    ("times", "shown"),
    [
        ((2.12, 1.61, 2.78), "2.1 s (1.6–2.8)"),
        ((0.3, 0.0, 0.9), "<1 s (0–0.9)"),
        ((0.0, 0.0, 1.0), "<1 s (0–1)"),
        ((0.0, 0.0, 0.0), "<1 s"),
        ((1.5, 0.0, 3.0), "1.5 s (0–3)"),
        ((None, 0.0, 60.0), "unknown (0–60 s)"),
        ((None, 8.0, None), "unknown (at least 8 s)"),
        ((None, None, None), "unknown"),
        ((1.75, 1.749, 1.751), "1.75 s"),
        ((596.0, 594.9, 602.1), "596 s (594.9–602.1)"),
        ((5000.0, 4990.0, 5013.0), "5,000 s (4,990–5,013)"),
        ((100.0, 99.0, 101.0), "100 s (99–101)"),
        ((3.0, 2.0, None), "3 s (at least 2)"),
        ((1.0, 2.0, None), "at least 2 s"),
        ((115.0, 180.0, 331.0), "180–331 s"),
        ((1.7503, 1.75, 1.7501), "1.75 s"),
    ],
)
def test_a_duration(times: tuple[float | None, ...], shown: str) -> None:
    assert format_duration(*times) == shown


def test_a_disputed_duration_says_so() -> None:
    assert format_duration(2.0, 0.0, 9.0, is_disputed=True) == "2 s, clocks disagree"
