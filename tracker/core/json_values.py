"""JSON values that can be stored and read back as equal values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from datetime import date
from decimal import Decimal
from math import isfinite
from operator import is_
from typing import Any

# The reader of events refuses 200 levels (pydantic/pydantic#9544): far from it, and far above
# what people nest.
DEPTH_LIMIT = 64
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


def storable(value: object, levels: int = DEPTH_LIMIT) -> Any:
    """Returns a value as JSON that reads back as an equal value; the same object if it is that.

    Replaced by None: objects and arrays below `levels` levels, integers beyond 64 bits, numbers
    that are not finite, and values that JSON does not have. Half a surrogate pair becomes a
    question mark, a tuple or a set a list, and a date or a decimal number its text.
    """
    match value:
        case None | bool():
            return value
        case str():
            return _storable_text(value)
        case int():
            return value if _LOWEST <= value <= _HIGHEST else None
        case float():
            return value if isfinite(value) else None
        case Mapping():
            return _storable_object(value, levels)
        case list() | tuple() | AbstractSet():
            return _storable_array(value, levels)
        case date() | Decimal():
            return str(value)
        case _:
            return None


def _storable_text(text: str) -> str:
    try:
        # The usual case, told without a copy.
        if text.isascii() or text.encode():
            return text
    except UnicodeEncodeError:
        pass
    return text.encode("utf-8", "replace").decode()


def _storable_object(value: Mapping[Any, Any], levels: int) -> dict[str, Any] | None:
    if levels == 0:
        return None
    kept = {
        _storable_text(key if isinstance(key, str) else str(storable(key))): storable(
            item, levels - 1
        )
        for key, item in value.items()
    }
    is_same = (
        type(value) is dict
        and len(kept) == len(value)
        and all(map(is_, kept, value))
        and all(map(is_, kept.values(), value.values()))
    )
    return value if is_same else kept  # type: ignore[return-value]


def _storable_array(value: Collection[Any], levels: int) -> list[Any] | None:
    if levels == 0:
        return None
    kept = [storable(item, levels - 1) for item in value]
    if isinstance(value, AbstractSet):
        # Equal sets may have other orders, and must be recorded as one value.
        kept.sort(key=repr)
    return value if type(value) is list and all(map(is_, kept, value)) else kept
