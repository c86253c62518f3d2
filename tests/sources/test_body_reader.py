"""Decompression of bodies: complete however they are cut, and never beyond the cap."""

import asyncio
import zlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.sources.http.body_reader import UnusableBody, read_body


def compress(body: bytes, bits: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, bits)
    return packer.compress(body) + packer.flush()


def read(parts: list[bytes], cap: int, encoding: str = "gzip") -> bytes:
    async def chunks() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    into = bytearray()
    asyncio.run(read_body(chunks(), into, encoding=encoding, length="", cap=cap))
    return bytes(into)


@given(
    st.binary(min_size=1, max_size=40),
    st.integers(1, 60_000),
    st.sampled_from([31, zlib.MAX_WBITS]),
    st.integers(1, 5000),
)
def test_a_packed_body_comes_out_whole(word: bytes, times: int, bits: int, size: int) -> None:
    body = word * times
    content = compress(body, bits)
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    # Neither what was sent nor what it unpacks to may be larger.
    enough = max(len(body), len(content))
    assert read(parts, cap=enough) == body
    with pytest.raises(UnusableBody, match="larger than"):
        read(parts, cap=enough - 1)
    with pytest.raises(UnusableBody, match="too early"):
        read([content[:-1]], cap=enough)
    with pytest.raises(UnusableBody, match="too early"):
        read([*parts, b"more"], cap=enough + 4)
