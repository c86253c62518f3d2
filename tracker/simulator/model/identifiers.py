"""Names of simulated things: the same for the same seed, and shaped like the real ones."""

from __future__ import annotations

import hashlib

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def stable_hash(*parts: object) -> int:
    """A large number that depends on the parts alone."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), "big")


def make_id(prefix: str, *parts: object) -> str:
    """`prefix`, an underscore and 24 letters and digits that depend on the parts alone."""
    rest = stable_hash(prefix, *parts)
    text = ""
    for _ in range(24):
        rest, digit = divmod(rest, 62)
        text += _DIGITS[digit]
    return f"{prefix}_{text}"
