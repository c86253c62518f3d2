"""The connections of a transport: kept, each for one request at a time, and closed when idle."""

import asyncio
from contextlib import suppress

import httpx
import pytest

from tracker.simulator import Simulator
from tracker.sources.http import connections
from tracker.sources.http.connections import Connections
from tracker.testing import FakeClock

pytestmark = pytest.mark.integration


class Opened(httpx.AsyncHTTPTransport):
    """A transport that counts how many were made and closed."""

    made = closed = 0

    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        type(self).made += 1

    async def aclose(self) -> None:
        type(self).closed += 1
        await super().aclose()


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> type[Opened]:
    Opened.made = Opened.closed = 0
    monkeypatch.setattr(connections.httpx, "AsyncHTTPTransport", Opened)
    return Opened


def limits(most: int) -> httpx.Limits:
    return httpx.Limits(max_connections=most, max_keepalive_connections=most, keepalive_expiry=30.0)


async def ask(client: httpx.AsyncClient) -> int:
    return (await client.get("/threads/thread_1/runs/run_1")).status_code


def test_requests_at_once_share_no_connection_and_no_more_are_opened_than_allowed(
    simulator: Simulator, opened: type[Opened]
) -> None:
    async def scenario() -> None:
        transport = Connections(FakeClock(), trust_env=False, limits=limits(4))
        async with httpx.AsyncClient(base_url=simulator.base_url, transport=transport) as client:
            for _ in range(3):
                assert set(await asyncio.gather(*(ask(client) for _ in range(20)))) == {404}
            assert opened.made == 4
        assert opened.closed == 4

    asyncio.run(scenario())


def test_a_request_that_fails_or_is_cancelled_gives_its_connection_free(
    simulator: Simulator, opened: type[Opened]
) -> None:
    async def scenario() -> None:
        transport = Connections(FakeClock(), trust_env=False, limits=limits(1))
        async with httpx.AsyncClient(base_url=simulator.base_url, transport=transport) as client:
            for _ in range(3):
                with pytest.raises(httpx.ConnectError):
                    await client.get("http://127.0.0.1:9/")
                asking = asyncio.create_task(ask(client))
                await asyncio.sleep(0)
                asking.cancel()
                with suppress(asyncio.CancelledError):
                    await asking
            assert await asyncio.wait_for(ask(client), 60) == 404
        assert opened.made == 1

    asyncio.run(scenario())


def test_connections_that_are_idle_for_long_are_closed(
    simulator: Simulator, opened: type[Opened]
) -> None:
    async def scenario() -> None:
        clock = FakeClock()
        transport = Connections(clock, trust_env=False, limits=limits(8))
        async with httpx.AsyncClient(base_url=simulator.base_url, transport=transport) as client:
            await asyncio.gather(*(ask(client) for _ in range(8)))
            assert (opened.made, opened.closed) == (8, 0)
            clock.advance(31.0)
            # The last one is used; it opens a new socket if the old one has expired.
            await ask(client)
            assert (opened.made, opened.closed) == (8, 7)

    asyncio.run(scenario())


def test_closing_ends_requests_that_are_under_way(opened: type[Opened]) -> None:
    async def scenario() -> None:
        asked = asyncio.Event()

        async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            await reader.read()
            writer.close()

        async with await asyncio.start_server(stay_silent, "127.0.0.1") as server:
            port = server.sockets[0].getsockname()[1]
            transport = Connections(FakeClock(), trust_env=False, limits=limits(4))
            client = httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}", transport=transport, timeout=None
            )
            asking = asyncio.create_task(ask(client))
            await asked.wait()
            await client.aclose()
            assert opened.closed == 1
            with pytest.raises(httpx.ReadError):
                await asyncio.wait_for(asking, 60)

    asyncio.run(scenario())
