"""Reading an answer's body no further than allowed, packed or not."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable

# 32 lets zlib tell gzip from its own format by the header.
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
# What is unpacked at once: zlib takes twice that for a moment.
_PIECE = 262_144


class Unfit(Exception):
    """A body that cannot be used: too large, or not packed as it says."""


async def receive(
    chunks: AsyncIterable[bytes], into: bytearray, *, encoding: str, length: str, cap: int
) -> None:
    """Puts a body into `into`, unpacked, at most `cap` bytes of it.

    `encoding` and `length` are the headers Content-Encoding and Content-Length. Memory stays
    within the cap and one chunk, whatever a packed body would unpack to. Raises Unfit.
    """
    if length.isdecimal() and len(length) < 20 and int(length) > cap:
        raise _too_large(cap)
    unpack = _unpacker(encoding.strip().lower())
    sent = 0
    async for chunk in chunks:
        sent += len(chunk)
        if unpack:
            unpack(chunk, into, cap + 1)
        else:
            into += chunk[: cap - len(into) + 1]
        if len(into) > cap or sent > cap:
            raise _too_large(cap)
    if unpack and not unpack.is_whole:
        raise Unfit("its packing ends too early")


class _Unpacker:
    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(_GZIP_OR_ZLIB)

    @property
    def is_whole(self) -> bool:
        return self._zlib.eof and not self._zlib.unused_data

    def __call__(self, chunk: bytes, into: bytearray, at_most: int) -> None:
        try:
            while chunk and len(into) < at_most:
                into += self._zlib.decompress(chunk, min(_PIECE, at_most - len(into)))
                chunk = self._zlib.unconsumed_tail
        except zlib.error:
            raise Unfit("it is not packed as it says") from None


def _unpacker(encoding: str) -> _Unpacker | None:
    if encoding in ("", "identity"):
        return None
    if encoding in ("gzip", "x-gzip", "deflate"):
        return _Unpacker()
    raise Unfit(f"it is packed with {encoding[:40]!r}, which was not asked for")


def _too_large(cap: int) -> Unfit:
    return Unfit(f"it is larger than {cap / 1_000_000:g} MB")
