"""The transport against a faulty server on the loopback."""

import asyncio
import gc
import gzip
import logging
import time
import tracemalloc
import zlib
from typing import Any

import pytest

from tests.support.faulty_server import (
    FAULTS,
    GZIP,
    JSON,
    RUN,
    Handler,
    drips,
    never,
    resets,
    served,
    whole,
    writes,
)
from tracker.errors import SourceError, Unreachable
from tracker.sources.http.transport import Transport

pytestmark = pytest.mark.integration

KEY = "sk-test-4f1d9c22b7"


@pytest.fixture(scope="module", autouse=True)
def _loaded_client() -> None:
    """Sends a first request, whose lazy imports would count against a short deadline."""

    async def ask() -> None:
        async with served(writes(whole(RUN))) as (url, _):
            transport = Transport(url, api_key=KEY)
            await transport.ask("GET", "/threads/thread_1/runs/run_1")
            await transport.aclose()

    asyncio.run(ask())


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
    settings = {"deadline": 60.0} if fault not in ("slow drip", "silence") else {}
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
    assert time.monotonic() - before < 60


@pytest.mark.parametrize("fault", ["huge, in chunks", "gzip bomb"])
def test_a_large_body_costs_no_more_than_the_cap(fault: str) -> None:
    handler = FAULTS[fault][0]
    failure(writes(whole(b"")))
    tracemalloc.start()
    try:
        failure(handler, deadline=60.0)
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
            transport = Transport(url, deadline=4, max_connections=2)
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
