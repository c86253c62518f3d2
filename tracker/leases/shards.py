"""Shards: a source's threads in 256 parts, the same in every process and release."""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

SHARDS = 256


class Shard(NamedTuple):
    """One part of the threads of a source."""

    source: str
    number: int


def shard_of(source: str, thread_id: str) -> Shard:
    """Returns the shard of a thread."""
    return Shard(source, crc32(thread_id.encode(errors="surrogatepass")) % SHARDS)
