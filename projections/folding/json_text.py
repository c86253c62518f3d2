"""Text and JSON in a form that both databases can store."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from pydantic_core import to_json

_KEY_BYTES = 512


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
    """Returns a text for a column of a key, of at most 512 bytes; two texts stay two.

    An index entry of PostgreSQL has at most 2,704 bytes. A longer text is cut, and ends with
    the first 16 hexadecimal digits of its SHA-256.
    """
    stored = plain_text(text) or ""
    encoded = stored.encode()
    if len(encoded) <= _KEY_BYTES:
        return stored
    digest = sha256(text.encode()).hexdigest()[:16]
    return f"{encoded[: _KEY_BYTES - 17].decode(errors='ignore')}~{digest}"


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
