"""The body of somebody else's HTTP response, kept while they read it.

The streams are those of httpx, or of a library with the same interface (`httpx2`, which the
`openai` package brings): what they have to inherit from is found at the stream itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import cache
from typing import Any

Chunks = list[bytes] | None


class _Tap:
    """Passes a stream on, chunk by chunk, and keeps the chunks unless they are over `cap` bytes."""

    def __init__(self, stream: Any, cap: int, whole: Callable[[Chunks], Any]) -> None:
        self._stream = stream
        self._cap = cap
        self._whole = whole
        self._chunks: Chunks = []
        self._is_whole = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _keep(self, chunk: bytes) -> None:
        self._cap -= len(chunk)
        if self._cap < 0:
            self._chunks = None
        if self._chunks is not None:
            self._chunks.append(chunk)

    def _came_whole(self) -> bool:
        """Whether it was read to its end; true once."""
        is_whole, self._is_whole = self._is_whole, False
        return is_whole


class _AsyncTap(_Tap):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._keep(chunk)
            yield chunk
        self._is_whole = True

    async def aclose(self) -> None:
        await self._stream.aclose()
        # Not before the connection is free for another.
        if self._came_whole():
            await self._whole(self._chunks)


class _SyncTap(_Tap):
    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._keep(chunk)
            yield chunk
        self._is_whole = True

    def close(self) -> None:
        self._stream.close()
        if self._came_whole():
            self._whole(self._chunks)


def tapped_async(stream: Any, cap: int, whole: Callable[[Chunks], Awaitable[None]]) -> Any:
    """A stream whose chunks are handed to `whole` once it was read to its end and closed.

    None in place of more than `cap` bytes. What is not read to its end is not handed over. `whole`
    must not raise.
    """
    return _kind(_AsyncTap, _base(stream, "AsyncByteStream"))(stream, cap, whole)


def tapped_sync(stream: Any, cap: int, whole: Callable[[Chunks], None]) -> Any:
    """`tapped_async` for a stream that blocks."""
    return _kind(_SyncTap, _base(stream, "SyncByteStream"))(stream, cap, whole)


def unpacked(response: Any, chunks: Chunks, cap: int) -> bytes | None:
    """The body that `chunks` of a response are, unpacked as it says; None for more than `cap`.

    `cap` is in bytes. What a single chunk unpacks to is not bounded.
    """
    if chunks is None:
        return None
    encoding = response.headers.get("content-encoding", "")
    if encoding in ("", "identity"):
        return b"".join(chunks)
    packed = type(response)(200, headers={"content-encoding": encoding}, content=iter(chunks))
    body = bytearray()
    for chunk in packed.iter_bytes():
        body += chunk
        if len(body) > cap:
            return None
    return bytes(body)


def _base(stream: Any, name: str) -> type:
    return next(base for base in type(stream).__mro__ if base.__name__ == name)


@cache
def _kind(tap: type, base: type) -> type:
    return type(tap.__name__, (tap, base), {})
