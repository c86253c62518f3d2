"""Reading of response bodies up to a size limit, compressed or not."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable

# 32 lets zlib detect gzip or its own format from the header.
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
# Bytes decompressed at once; zlib needs twice as many for a moment.
_PIECE = 262_144


class UnusableBody(Exception):
    """A body that is too large, or not compressed as its header says."""


async def read_body(
    chunks: AsyncIterable[bytes], into: bytearray, *, encoding: str, length: str, cap: int
) -> None:
    """Appends a body to `into`, decompressed, at most `cap` bytes of it.

    `encoding` and `length` are the headers Content-Encoding and Content-Length. Memory stays
    within the cap and one chunk, whatever a body decompresses to. Raises UnusableBody.
    """
    if length.isdecimal() and len(length) < 20 and int(length) > cap:
        raise _too_large(cap)
    decompress = _find_decompressor(encoding.strip().lower())
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        if decompress:
            decompress(chunk, into, cap + 1)
        else:
            into += chunk[: cap - len(into) + 1]
        if len(into) > cap or received > cap:
            raise _too_large(cap)
    if decompress and not decompress.is_complete:
        raise UnusableBody("its compressed data ends too early")


class _Decompressor:
    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(_GZIP_OR_ZLIB)

    @property
    def is_complete(self) -> bool:
        return self._zlib.eof and not self._zlib.unused_data

    def __call__(self, chunk: bytes, into: bytearray, at_most: int) -> None:
        try:
            while chunk and len(into) < at_most:
                into += self._zlib.decompress(chunk, min(_PIECE, at_most - len(into)))
                chunk = self._zlib.unconsumed_tail
        except zlib.error:
            raise UnusableBody("it is not compressed as its header says") from None


def _find_decompressor(encoding: str) -> _Decompressor | None:
    if encoding in ("", "identity"):
        return None
    if encoding in ("gzip", "x-gzip", "deflate"):
        return _Decompressor()
    raise UnusableBody(f"it is compressed with {encoding[:40]!r}, which was not asked for")


def _too_large(cap: int) -> UnusableBody:
    return UnusableBody(f"it is larger than {cap / 1_000_000:g} MB")
