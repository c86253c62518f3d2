"""The transport against a server on the loopback that does everything wrong."""

import asyncio
import gc
import gzip
import logging
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tracker.errors import Misconfigured, SourceError, Unreachable, UnusableAnswer
from tracker.sources.http.transport import Transport

pytestmark = pytest.mark.integration

KEY = "sk-test-4f1d9c22b7"
RUN = b'{"id":"run_1","object":"thread.run","status":"queued"}'
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

Handler = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that reads each request and lets `handler` write; its URL, and the heads it read."""
    heads: list[bytes] = []
    serving: set[asyncio.Task[Any]] = set()
    transports: list[asyncio.WriteTransport] = []

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        transports.append(writer.transport)
        try:
            while True:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                await handler(writer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            serving.discard(task)

    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", heads
    finally:
        server.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        # What a client did not stay to read would keep its connection open.
        for transport in transports:
            transport.abort()
        await server.wait_closed()


def writes(*parts: bytes, close: bool = False) -> Handler:
    async def handler(writer: asyncio.StreamWriter) -> None:
        writer.writelines(parts)
        if close:
            await writer.drain()
            writer.close()

    return handler


def whole(body: bytes, head: bytes = JSON) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def drips(writer: asyncio.StreamWriter) -> None:
    writer.write(JSON + b"Content-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def never(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def resets(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def resets_midway(writer: asyncio.StreamWriter) -> None:
    writer.write(JSON + b"Content-Length: 1000\r\n\r\n" + RUN[:20])
    await writer.drain()
    await asyncio.sleep(0.02)
    writer.transport.abort()


async def pours(writer: asyncio.StreamWriter) -> None:
    writer.write(JSON + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(400):
        writer.write(b"100000\r\n" + b" " * 0x100000 + b"\r\n")
        await writer.drain()


def bomb() -> bytes:
    """200 MB of blanks in 200 kB of gzip."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(b" " * 1_000_000) for _ in range(200)]
    return b"".join([*parts, packer.flush()])


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
    "no type": (writes(whole(RUN, b"HTTP/1.1 200 OK\r\n")), UnusableAnswer, "instead of JSON"),
    "empty": (writes(whole(b"")), UnusableAnswer, "0 bytes"),
    "a list": (writes(whole(b"[]")), UnusableAnswer, "not a JSON object, but an array"),
    "too deep": (writes(whole(b"[" * 100_000)), UnusableAnswer, "not JSON"),
    "no content": (writes(b"HTTP/1.1 204 No Content\r\n\r\n"), UnusableAnswer, "204"),
}


def failure(handler: Handler, **settings: Any) -> SourceError:
    async def ask() -> SourceError:
        async with served(handler) as (url, _):
            transport = Transport(url, api_key=KEY, **({"deadline": 0.3} | settings))
            try:
                with pytest.raises(SourceError) as raised:
                    await transport.ask("GET", "/threads/thread_1/runs/run_1")
            finally:
                await transport.aclose()
            return raised.value

    error = asyncio.run(ask())
    # A connection left open would warn here, which fails the test.
    gc.collect()
    return error


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_an_error_of_its_kind(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    handler, kind, says = FAULTS[fault]
    caplog.set_level(logging.DEBUG)
    settings = {"deadline": 5.0} if fault not in ("slow drip", "silence") else {}
    error = failure(handler, **settings)
    assert isinstance(error, kind)
    assert says in str(error)
    assert "GET /v1/threads/thread_1/runs/run_1" in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None
    assert KEY not in repr(error) + caplog.text


def test_a_slow_drip_ends_at_the_deadline() -> None:
    before = time.monotonic()
    failure(drips)
    assert time.monotonic() - before < 2


@pytest.mark.parametrize("fault", ["huge, in chunks", "gzip bomb"])
def test_a_large_body_costs_no_more_than_the_cap(fault: str) -> None:
    handler = FAULTS[fault][0]
    failure(writes(whole(b"")))
    tracemalloc.start()
    try:
        failure(handler, deadline=5.0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The server's own chunks and the buffers between are in this figure too.
    assert peak < 12_000_000


def test_nobody_listens() -> None:
    async def ask() -> SourceError:
        async with served(never) as (url, _):
            pass
        transport = Transport(url, api_key=KEY)
        with pytest.raises(Unreachable) as raised:
            await transport.ask("POST", "/threads/thread_1/runs", document={})
        await transport.aclose()
        return raised.value

    message = str(asyncio.run(ask()))
    assert "was not sent, there is no way to 127.0.0.1:" in message
    assert "may have done it" not in message


def test_a_post_that_got_no_answer_may_have_been_done() -> None:
    async def ask() -> None:
        async with served(resets) as (url, _):
            transport = Transport(url)
            with pytest.raises(Unreachable, match="may have done it all the same"):
                await transport.ask("POST", "/threads/thread_1/runs", document={})
            await transport.aclose()

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("body", "head"),
    [
        (RUN, JSON),
        (gzip.compress(RUN, mtime=0), GZIP),
        (zlib.compress(RUN), JSON + b"Content-Encoding: deflate\r\n"),
        (RUN, b"HTTP/1.1 201 Created\r\nContent-Type: application/json; charset=utf-8\r\n"),
        (RUN, b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.api+json\r\n"),
    ],
)
def test_a_whole_answer_packed_or_not(body: bytes, head: bytes) -> None:
    async def ask() -> None:
        async with served(writes(whole(body, head))) as (url, heads):
            transport = Transport(url, api_key=KEY)
            answer, document = await transport.ask("GET", "/x")
            assert answer.body == RUN
            assert document["id"] == "run_1"
            assert answer.asked_at <= answer.observed_at
            await transport.ask("GET", "/x")
            assert b"accept-encoding: identity\r\n" in heads[0].lower()
            await transport.aclose()

    asyncio.run(ask())


def test_the_way_stays_open_after_answers_that_were_given_up() -> None:
    async def ask() -> None:
        slow = True

        async def handler(writer: asyncio.StreamWriter) -> None:
            await (drips(writer) if slow else writes(whole(RUN))(writer))

        async with served(handler) as (url, _):
            transport = Transport(url, deadline=1.5, max_connections=2)
            asked = (transport.ask("GET", "/x") for _ in range(8))
            results = await asyncio.gather(*asked, return_exceptions=True)
            assert {type(result) for result in results} == {Unreachable}
            slow = False
            answer, _ = await transport.ask("GET", "/x")
            assert answer.status == 200
            await transport.aclose()

    asyncio.run(ask())


def test_whoever_is_cancelled_is_cancelled() -> None:
    async def ask() -> None:
        async with served(drips) as (url, _):
            transport = Transport(url)
            asking = asyncio.create_task(transport.ask("GET", "/x"))
            await asyncio.sleep(0.1)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await transport.aclose()

    asyncio.run(ask())
    gc.collect()
