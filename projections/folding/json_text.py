"""Text and JSON in a form that both databases can store."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import to_json

from tracker.core.identifiers import fit_key

# Integers from here on are read as the float that was stored.
_INTEGER_LIMIT = 2**63


def json_text(value: Any) -> str:
    """Returns JSON without NUL characters; NaN and infinity become strings."""
    encoded = to_json(value, inf_nan_mode="strings").decode()
    # The match may also be an escaped backslash before a literal "u0000".
    if "\\u0000" in encoded and (storable := _replace_nul(value)) != value:
        return json_text(storable)
    return encoded


def read_json(text: str | bytes) -> Any:
    """Returns the value of stored JSON, equal on both databases.

    PostgreSQL writes a float like 1e23 as an integer of 24 digits.
    """
    return json.loads(text, parse_int=_read_integer)


def group_text(value: Any) -> str | None:
    """Returns the text of a JSON value as the name of a group: a string as it is.

    Equal numbers have equal texts: 1.0 is 1.
    """
    if value is None or isinstance(value, str):
        return value
    return json.dumps(_shorten_floats(value), sort_keys=True)


def plain_text(text: str | None) -> str | None:
    """Replaces NUL characters, which PostgreSQL rejects; the event keeps the original."""
    return text.replace("\x00", "\ufffd") if text and "\x00" in text else text


def key_text(text: str) -> str:
    """Returns a text for a column of a key, cut as by `fit_key`, without NUL characters."""
    return fit_key(plain_text(text) or "", text)


def _read_integer(digits: str) -> int | float:
    number = int(digits)
    return number if -_INTEGER_LIMIT <= number < _INTEGER_LIMIT else float(number)


def _shorten_floats(value: Any) -> Any:
    match value:
        case float():
            is_integer = value.is_integer() and abs(value) < _INTEGER_LIMIT
            return int(value) if is_integer else value
        case dict():
            return {key: _shorten_floats(member) for key, member in value.items()}
        case list():
            return [_shorten_floats(member) for member in value]
        case _:
            return value


def _replace_nul(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\x00", "\ufffd")
        case dict():
            return {_replace_nul(key): _replace_nul(member) for key, member in value.items()}
        case list() | tuple():
            return [_replace_nul(member) for member in value]
        case _:
            return value
