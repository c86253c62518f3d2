"""A tee for response bodies: copies the body of another client's response while it is read.

The streams are those of httpx, or of a library with the same interface (`httpx2`, which the
`openai` package brings). Their base classes are therefore taken from the stream itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import cache
from typing import Any

# None for a body above the cap.
Chunks = list[bytes] | None


class _Tee:
    """Passes a stream on, chunk by chunk, and keeps the chunks up to `cap` bytes."""

    def __init__(self, stream: Any, cap: int, on_complete: Callable[[Chunks], Any]) -> None:
        self._stream = stream
        self._cap = cap
        self._on_complete = on_complete
        self._chunks: Chunks = []
        self._is_complete = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _keep(self, chunk: bytes) -> None:
        self._cap -= len(chunk)
        if self._cap < 0:
            self._chunks = None
        if self._chunks is not None:
            self._chunks.append(chunk)

    def _pop_complete(self) -> bool:
        """True on the first call after the stream was read to its end."""
        is_complete, self._is_complete = self._is_complete, False
        return is_complete


class _AsyncTee(_Tee):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._keep(chunk)
            yield chunk
        self._is_complete = True

    async def aclose(self) -> None:
        await self._stream.aclose()
        # Only now is the connection free for other requests.
        if self._pop_complete():
            await self._on_complete(self._chunks)


class _SyncTee(_Tee):
    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._keep(chunk)
            yield chunk
        self._is_complete = True

    def close(self) -> None:
        self._stream.close()
        if self._pop_complete():
            self._on_complete(self._chunks)


def tee_async(stream: Any, cap: int, on_complete: Callable[[Chunks], Awaitable[None]]) -> Any:
    """Returns a stream that passes its chunks to `on_complete` once it is read and closed.

    It passes None for more than `cap` bytes, and is not called if the stream is not read to its
    end. `on_complete` must not raise.
    """
    return _tee_type(_AsyncTee, _find_base(stream, "AsyncByteStream"))(stream, cap, on_complete)


def tee_sync(stream: Any, cap: int, on_complete: Callable[[Chunks], None]) -> Any:
    """Returns what `tee_async` returns, for a blocking stream."""
    return _tee_type(_SyncTee, _find_base(stream, "SyncByteStream"))(stream, cap, on_complete)


def decompress(response: Any, chunks: Chunks, cap: int) -> bytes | None:
    """Returns the decompressed body of a response from its chunks; None above `cap` bytes.

    The decompressed size of a single chunk is not limited.
    """
    if chunks is None:
        return None
    encoding = response.headers.get("content-encoding", "")
    if encoding in ("", "identity"):
        return b"".join(chunks)
    compressed = type(response)(200, headers={"content-encoding": encoding}, content=iter(chunks))
    body = bytearray()
    for chunk in compressed.iter_bytes():
        body += chunk
        if len(body) > cap:
            return None
    return bytes(body)


def _find_base(stream: Any, name: str) -> type:
    return next(base for base in type(stream).__mro__ if base.__name__ == name)


@cache
def _tee_type(tee: type, base: type) -> type:
    return type(tee.__name__, (tee, base), {})
