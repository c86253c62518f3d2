"""A server on the loopback whose answers are broken, by the name of the fault."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.support.loopback import listening
from tracker.errors import Misconfigured, SourceError, Unreachable, UnusableAnswer

RUN = b'{"id":"run_1","object":"thread.run","status":"queued"}'


JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


Handler = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serves answers that `handler` writes; gives the URL, and the heads of the requests."""
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            await handler(writer)
            await writer.drain()

    async with listening(answer) as port:
        yield f"http://127.0.0.1:{port}/v1", heads


def writes(*parts: bytes, close: bool = False) -> Handler:
    """Returns a handler that writes these parts."""

    async def handler(writer: asyncio.StreamWriter) -> None:
        writer.writelines(parts)
        if close:
            await writer.drain()
            writer.close()

    return handler


def whole(body: bytes, head: bytes = JSON) -> bytes:
    """Returns a complete response."""
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def drips(writer: asyncio.StreamWriter) -> None:
    """Writes a byte at a time, without an end."""
    writer.write(JSON + b"Content-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def never(writer: asyncio.StreamWriter) -> None:
    """Writes nothing."""
    await asyncio.sleep(60)


async def resets(writer: asyncio.StreamWriter) -> None:
    """Resets the connection."""
    writer.transport.abort()


async def resets_midway(writer: asyncio.StreamWriter) -> None:
    """Resets the connection within a body."""
    writer.write(JSON + b"Content-Length: 1000\r\n\r\n" + RUN[:20])
    await writer.drain()
    await asyncio.sleep(0.02)
    writer.transport.abort()


async def pours(writer: asyncio.StreamWriter) -> None:
    """Writes 400 MB in chunks."""
    writer.write(JSON + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(400):
        writer.write(b"100000\r\n" + b" " * 0x100000 + b"\r\n")
        await writer.drain()


def bomb() -> bytes:
    """Returns 400 MB of blanks in 400 kB of gzip, without the end."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    # After a full flush, equal blocks are packed to equal bytes.
    first, other = (
        packer.compress(b" " * 1_000_000) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2)
    )
    return first + 399 * other


GZIP = JSON + b"Content-Encoding: gzip\r\n"


FAULTS: dict[str, tuple[Handler, type[SourceError], str]] = {
    "slow drip": (drips, Unreachable, "no whole answer in 0.3 s"),
    "silence": (never, Unreachable, "no whole answer in 0.3 s"),
    "reset": (resets, Unreachable, "brought no"),
    "closed unanswered": (writes(close=True), Unreachable, "disconnected"),
    "reset midway": (resets_midway, SourceError, "brought"),
    "truncated by length": (
        writes(JSON + b"Content-Length: 500\r\n\r\n" + RUN, close=True),
        UnusableAnswer,
        "cut off",
    ),
    "truncated by close": (
        writes(JSON + b"Connection: close\r\n\r\n" + RUN[:30], close=True),
        UnusableAnswer,
        "not JSON",
    ),
    "not HTTP": (writes(b"SSH-2.0-OpenSSH_9.9\r\n\r\n", close=True), Unreachable, "brought no"),
    "endless header": (writes(JSON + b"X: " + b"a" * 200_000), Unreachable, "brought no"),
    "huge, announced": (
        writes(JSON + b"Content-Length: 400000000\r\n\r\n"),
        UnusableAnswer,
        "larger than 2 MB",
    ),
    "huge, in chunks": (pours, UnusableAnswer, "larger than 2 MB"),
    "gzip bomb": (writes(whole(bomb(), GZIP)), UnusableAnswer, "larger than 2 MB"),
    "bad gzip": (writes(whole(RUN, GZIP)), UnusableAnswer, "not compressed as"),
    "half gzip": (
        writes(whole(gzip.compress(RUN, mtime=0)[:-9], GZIP)),
        UnusableAnswer,
        "too early",
    ),
    "brotli": (
        writes(whole(b"\x0b\x00", JSON + b"Content-Encoding: br\r\n")),
        UnusableAnswer,
        "not asked for",
    ),
    "redirect": (
        writes(b"HTTP/1.1 302 Found\r\nLocation: https://else.where/\r\nContent-Length: 0\r\n\r\n"),
        Misconfigured,
        "Redirects are not followed",
    ),
    "HTML": (
        writes(whole(b"<html>", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n")),
        UnusableAnswer,
        "text/html instead of JSON",
    ),
    "empty": (writes(whole(b"")), UnusableAnswer, "0 bytes"),
    "a list": (writes(whole(b"[]")), UnusableAnswer, "not a JSON object, but an array"),
    "too deep": (writes(whole(b"[" * 100_000)), UnusableAnswer, "not JSON"),
    "no content": (writes(b"HTTP/1.1 204 No Content\r\n\r\n"), UnusableAnswer, "0 bytes of no use"),
}
