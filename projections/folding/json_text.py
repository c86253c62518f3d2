"""Text and JSON in a form that both databases can store."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json

from tracker.core.identifiers import fit_key


def json_text(value: Any) -> str:
    """Returns JSON without NUL characters; NaN and infinity become strings."""
    encoded = to_json(value, inf_nan_mode="strings").decode()
    # The match may also be an escaped backslash before a literal "u0000".
    if "\\u0000" in encoded and (storable := _replace_nul(value)) != value:
        return json_text(storable)
    return encoded


def plain_text(text: str | None) -> str | None:
    """Replaces NUL characters, which PostgreSQL rejects; the event keeps the original."""
    return text.replace("\x00", "\ufffd") if text and "\x00" in text else text


def key_text(text: str) -> str:
    """Returns a text for a column of a key, cut as by `fit_key`, without NUL characters."""
    return fit_key(plain_text(text) or "", text)


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
