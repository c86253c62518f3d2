"""Reading of token counts, under any name and in any type that services send."""

from __future__ import annotations

import re

from tracker.core.usage import Usage

_HIGHEST = 2**63 - 1
_DIGITS = re.compile(r"\d{1,19}(?:\.0{1,9})?")


def read_count(value: object) -> int | None:
    """Returns a count as an integer, None for anything that is none.

    Accepts whole numbers from 0 to 64 bits, also as text and as 10.0. True is no count.
    """
    if isinstance(value, str):
        text = value.strip()
        if not text.isascii() or not _DIGITS.fullmatch(text):
            return None
        value = int(text.partition(".")[0])
    elif isinstance(value, float):
        if not value.is_integer():
            return None
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _HIGHEST else None


def counted(*, service_tier: str | None = None, **counts: object) -> Usage | None:
    """Returns token counts as a usage, None if the service sent no count.

    The names are those of `Usage`. A count that cannot be read counts as not sent.
    """
    # Some services send a count below zero for one that they did not make.
    known = {name: read_count(value) for name, value in counts.items()}
    sent = {name: count for name, count in known.items() if count is not None}
    return Usage(**sent, service_tier=service_tier) if sent else None


def spell(*names: str) -> tuple[str, ...]:
    """Returns names in snake_case, each followed by its spelling in camelCase."""
    return tuple(it for name in names for it in (name, _in_camel_case(name)))


def _in_camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
