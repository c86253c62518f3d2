"""Numbers, durations and texts as the pages write them."""

from __future__ import annotations

import re
from decimal import Decimal
from math import floor, log10

UNKNOWN = "–"
# Longer texts of a service or a user are cut.
LONGEST_TEXT = 2_000

STATUS_WORDS = {
    "queued": "queued",
    "in_progress": "running",
    "requires_action": "waiting for us",
    "cancelling": "cancelling",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
    "expired": "expired",
    "incomplete": "incomplete",
}
# From the bottom of a stack to its top.
OUTCOMES = ("completed", "incomplete", "cancelled", "expired", "failed")

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
# Control characters but tab and line feed, marks and overrides of direction, lone surrogates,
# separators of lines, and marks that have no width.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff]"
)


def escape_unsafe(text: str) -> str:
    """Writes characters that control, reorder or hide text as their escapes."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def cut_text(text: str, longest: int = LONGEST_TEXT) -> str:
    """Returns a text, or its beginning with the number of characters that are left out."""
    if len(text) <= longest:
        return text
    return f"{text[:longest]} … {len(text) - longest:,} more"


def shorten(text: str, longest: int = 24) -> str:
    """Returns a name, or its beginning and its end."""
    if len(text) <= longest:
        return text
    kept = longest - 1
    return f"{text[: kept - kept // 3]}…{text[-(kept // 3) :]}"


def shorten_id(text: str) -> str:
    """Returns an id with its middle left out: `run_3P1e…bHa`."""
    return text if len(text) <= 14 else f"{text[:8]}…{text[-3:]}"


def describe_status(status: str) -> str:
    """Returns the word for a status; an unknown one is its own word."""
    return STATUS_WORDS.get(status, status)


def status_class(status: str) -> str:
    """Returns the name of a status in the style sheet."""
    return status if status in STATUS_WORDS else "other"


def format_count(number: int | None) -> str:
    """Returns a count with commas: `1,997`."""
    return UNKNOWN if number is None else f"{number:,}"


def format_large(number: float | None) -> str:
    """Returns a count of three digits and a unit: `13.4 M`, `491 k`; small ones as they are."""
    if number is None:
        return UNKNOWN
    if number < 10_000:
        return f"{round(number):,}"
    for size, unit in ((1_000, "k"), (10**6, "M"), (10**9, "G"), (10**12, "T")):
        scaled = number / size
        digits = 1 if size > 1_000 and scaled < 99.95 else 0
        if round(scaled, digits) < 1_000 or unit == "T":
            return f"{scaled:,.{digits}f} {unit}"
    raise AssertionError


def format_percent(part: float, whole: float) -> str:
    """Returns a share: `5.6 %`. What is not nothing and not all never looks so."""
    if not whole:
        return UNKNOWN
    share = 100 * part / whole
    if 0 < share < 0.1:
        return "<0.1 %"
    if 99.9 < share < 100:
        return ">99.9 %"
    return f"{share:.0f} %" if share in (0, 100) else f"{share:.1f} %"


def format_dollars(dollars: Decimal | float | None) -> str:
    """Returns dollars with two to four digits that matter: `$27.73`, `$0.501`, `$0.0094`."""
    if dollars is None:
        return UNKNOWN
    if dollars == 0:
        return "$0"
    if dollars < Decimal("0.0001"):
        return "<$0.0001"
    digits = 2 if dollars >= Decimal("0.9995") else 3 if dollars >= Decimal("0.00995") else 4
    return f"${dollars:,.{digits}f}"


def is_whole(seconds: float) -> bool:
    """True if a duration is of whole seconds, so that a tenth of one would be invented."""
    return abs(seconds - round(seconds)) < 1e-6


def format_duration(seconds: float | None, *, is_fine: bool = False) -> str:
    """Returns a duration in at most two units: `<1 s`, `3 min 20 s`, `12 min`, `3 d 4 h`.

    With `is_fine`, durations below ten seconds have a tenth: `1.2 s`.
    """
    if seconds is None:
        return UNKNOWN
    seconds = max(0.0, seconds)
    if is_fine and round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    if seconds < 1:
        return "<1 s"
    if round(seconds) < _MINUTE:
        return f"{round(seconds)} s"
    for big, small, names in (
        (_MINUTE, 1, ("min", "s")),
        (_HOUR, _MINUTE, ("h", "min")),
        (_DAY, _HOUR, ("d", "h")),
    ):
        whole, rest = divmod(round(seconds / small), big // small)
        if whole < 10:
            return f"{whole} {names[0]}" + (f" {rest} {names[1]}" if rest else "")
        next_size = {_MINUTE: _HOUR, _HOUR: _DAY}.get(big)
        whole = round(seconds / big)
        if next_size is None or whole < next_size // big:
            return f"{whole:,} {names[0]}"
    raise AssertionError


def format_bounded(seconds: float | None, low: float | None, high: float | None) -> str:
    """Returns a duration with its bounds, if they tell anything: `2 s (1–3)`.

    The bounds are in seconds; None for `high` means that nothing limits it. Of a duration that is
    not known, the bounds alone are told: `2–9 s`.
    """
    if seconds is None:
        return _format_limits(low, high)
    is_fine = not (is_whole(seconds) and (low is None or is_whole(low)))
    value = format_duration(seconds, is_fine=is_fine)
    if low is None:
        return value
    least = format_duration(low, is_fine=is_fine)
    if high is None:
        return f"{value} (at least {least})"
    if high - low <= max(0.15, 0.02 * seconds):
        return value
    most = format_duration(high, is_fine=is_fine)
    if least == most:
        return value
    return f"{value} ({_join_bounds(value, least, most)})"


def _format_limits(low: float | None, high: float | None) -> str:
    """Returns what is known of a duration that is not."""
    if low is None or (high is None and low == 0):
        return UNKNOWN
    is_fine = not (is_whole(low) and (high is None or is_whole(high)))
    least = format_duration(low, is_fine=is_fine)
    if high is None:
        return f"at least {least}"
    most = format_duration(high, is_fine=is_fine)
    if low == 0:
        return f"at most {most}"
    return most if least == most else f"{_join_bounds(most, least, most)}{_unit_of(least, most)}"


def _unit_of(least: str, most: str) -> str:
    """Returns the unit that both bounds were joined without."""
    return "" if " – " in _join_bounds(most, least, most) else f" {most.rpartition(' ')[2]}"


def _join_bounds(value: str, least: str, most: str) -> str:
    """Returns both bounds, with units only where they are not that of the value."""
    number, _, unit = value.rpartition(" ")
    parts = [it.rpartition(" ") for it in (least, most)]
    if " " not in number and all(it[2] == unit and " " not in it[0] for it in parts):
        return f"{parts[0][0]}–{parts[1][0]}"
    return f"{least} – {most}"


def pick_steps(highest: float, most: int = 5) -> list[float]:
    """Returns round marks of an axis, in steps of 1, 2 or 5, from 0 to `highest` or above it."""
    if highest <= 0:
        return [0, 1]
    size: float = 10 ** floor(log10(highest / most))
    step = next(size * it for it in (1, 2, 5, 10) if highest / (size * it) <= most)
    count = floor(highest / step) + (1 if highest % step else 0)
    return [it * step for it in range(count + 1)]


def count_noun(number: int, noun: str) -> str:
    """Returns a number with its noun: `1 run`, `2 runs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
