"""Identifiers of runs, names of sources, and the names of streams that are made of them."""

from __future__ import annotations

import unicodedata
from hashlib import sha256
from typing import Annotated, TypeGuard

from pydantic import AfterValidator, Field

LONGEST_ID = 2048
LONGEST_SOURCE_NAME = 256
# An index entry of PostgreSQL has at most 2,704 bytes.
_KEY_BYTES = 512
# The streams of configurations begin with it.
_CONFIGURATION = "configuration"
# Control and format characters, those of the text direction among them, and all kinds of spaces.
_INVISIBLE = frozenset(("Cc", "Cf", "Zs", "Zl", "Zp"))


def _check_visible(text: str) -> str:
    if not is_visible(text):
        raise ValueError("it has no visible character")
    return text


def _check_source(name: str) -> str:
    if ":" in name:
        raise ValueError("the name of a source takes no colon")
    if name == _CONFIGURATION:
        raise ValueError("the store uses this name itself")
    return name


# Databases refuse a NUL in a text. The length limit rejects payloads that are no identifiers.
Identifier = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_ID, pattern=r"^[^\x00-\x1f\x7f]+$"),
    AfterValidator(_check_visible),
]
SourceName = Annotated[
    Identifier, Field(max_length=LONGEST_SOURCE_NAME), AfterValidator(_check_source)
]


def is_visible(text: str) -> bool:
    """True if a text has a character that is neither a space nor a control or format character."""
    if text.isascii():
        return (text.isprintable() and not text.isspace()) or any("!" <= it <= "~" for it in text)
    return any(unicodedata.category(it) not in _INVISIBLE for it in text)


def is_identifier(text: object) -> TypeGuard[str]:
    """True if a value can be the id of a run or of a thread."""
    return (
        isinstance(text, str)
        and 0 < len(text) <= LONGEST_ID
        and not any(it < " " or it == "\x7f" or "\ud800" <= it <= "\udfff" for it in text)
        and is_visible(text)
    )


def is_source_name(name: object) -> bool:
    """True if a value can be the name of a source."""
    if not is_identifier(name) or len(name) > LONGEST_SOURCE_NAME:
        return False
    return ":" not in name and name != _CONFIGURATION


def fit_key(text: str, identity: str | None = None) -> str:
    """Returns a text for the key of a table, of at most 512 bytes; two texts stay two.

    A longer one is cut, and ends with the first 16 hexadecimal digits of the SHA-256 of
    `identity`, or else of the text.
    """
    if len(text) <= _KEY_BYTES // 4:
        return text
    encoded = text.encode()
    if len(encoded) <= _KEY_BYTES:
        return text
    digest = sha256(encoded if identity is None else identity.encode()).hexdigest()[:16]
    return f"{encoded[: _KEY_BYTES - 17].decode(errors='ignore')}~{digest}"


def run_stream(source: str, run_id: str) -> str:
    """Returns the name of the stream of a run: `{source}:{run_id}`, cut as by `fit_key`."""
    return fit_key(f"{source}:{run_id}")
