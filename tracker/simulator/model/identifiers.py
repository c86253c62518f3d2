"""Ids of simulated objects: determined by the seed, in the format of the real ones."""

from __future__ import annotations

import hashlib

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def stable_hash(*parts: object) -> int:
    """Returns a large number that depends on the parts only, in every process."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), "big")


def make_id(prefix: str, *parts: object) -> str:
    """Returns `prefix`, an underscore and 24 letters and digits that depend on the parts only."""
    rest = stable_hash(prefix, *parts)
    text = ""
    for _ in range(24):
        rest, digit = divmod(rest, 62)
        text += _DIGITS[digit]
    return f"{prefix}_{text}"
