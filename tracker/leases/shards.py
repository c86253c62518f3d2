"""Shards: a source's runs in 256 parts, the same in every process and release."""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

SHARDS = 256


class Shard(NamedTuple):
    """One part of the runs of a source."""

    source: str
    number: int


def shard_of(source: str, key: str) -> Shard:
    """Returns the shard of a division key: of a thread, or of a run without one."""
    return Shard(source, crc32(key.encode(errors="surrogatepass")) % SHARDS)
