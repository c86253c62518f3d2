"""JSON as every database takes it."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json


def json_text(value: Any) -> str:
    """The JSON of `value` that every database takes: no NUL in a text, no NaN, no infinity."""
    encoded = to_json(value, inf_nan_mode="strings").decode()
    # The text may also be a backslash that somebody wrote before "u0000".
    if "\\u0000" in encoded and (storable := _without_nul(value)) != value:
        return json_text(storable)
    return encoded


def plain_text(text: str | None) -> str | None:
    """`text` without NUL, which PostgreSQL does not take; the event keeps the original."""
    return text.replace("\x00", "\ufffd") if text and "\x00" in text else text


def _without_nul(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\x00", "\ufffd")
        case dict():
            return {_without_nul(key): _without_nul(member) for key, member in value.items()}
        case list() | tuple():
            return [_without_nul(member) for member in value]
        case _:
            return value
