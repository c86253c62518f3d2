"""Durations as people read them: no more digits than their bounds support, and the bounds."""

from __future__ import annotations


def format_duration(
    value: float | None,
    at_least: float | None,
    at_most: float | None,
    *,
    is_disputed: bool = False,
) -> str:
    """Returns a duration in seconds with its bounds, such as `2.1 s (1.6–2.8)`.

    A duration whose bounds reach zero is `<1 s`, one that is not known `unknown (0–60 s)`. An
    `at_most` of None is no limit. Without bounds, nothing is known: `unknown`, or the value alone.
    A value outside its bounds is that of a biased sample, and not told: `180–331 s`.
    """
    if at_least is None:
        return "unknown" if value is None else f"{_format(value, 2)} s"
    digits = _count_digits(at_least, at_most)
    least = _format(at_least, digits)
    most = None if at_most is None else _format(at_most, digits)
    if value is None:
        return f"unknown (at least {least} s)" if most is None else f"unknown ({least}–{most} s)"
    shown = f"{_format(value, digits)} s"
    if not is_disputed and _is_outside(round(value, digits), at_least, at_most, digits):
        return f"at least {least} s" if most is None else f"{least}–{most} s"
    if value < 1 and float(least) == 0:
        shown = "<1 s"
    if is_disputed:
        return f"{shown}, clocks disagree"
    if most is None:
        return f"{shown} (at least {least})"
    return shown if least == most else f"{shown} ({least}–{most})"


def _is_outside(value: float, at_least: float, at_most: float | None, digits: int) -> bool:
    least, most = round(at_least, digits), value if at_most is None else round(at_most, digits)
    return least != most and not least <= value <= most


def _count_digits(at_least: float, at_most: float | None) -> int:
    width = 1.0 if at_most is None else at_most - at_least
    return 2 if width < 0.1 else 1 if width < 10 else 0


def _format(seconds: float, digits: int) -> str:
    # No zeros behind the point: a whole number needs no more digits beside one that has some.
    text = f"{seconds:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
