"""Names of hosts are looked up apart from the event loop, and each address of a host is tried."""

import asyncio
import socket
from typing import Any

import httpx
import pytest

from tracker.errors import Unreachable
from tracker.simulator import Simulator
from tracker.sources import Assistants
from tracker.sources.http.resolving_transport import ResolvingTransport, is_proxied
from tracker.testing import FakeClock

pytestmark = pytest.mark.integration


def answer_names(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Has each name resolved to these addresses; returns the names as they are looked up."""
    asked: list[str] = []

    def look_up(host: str, port: int, **kwargs: Any) -> list[Any]:
        asked.append(host)
        if not addresses:
            raise socket.gaierror("Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (it, port)) for it in addresses]

    monkeypatch.setattr("tracker.sources.http.resolving_transport.socket.getaddrinfo", look_up)
    return asked


def test_the_next_address_is_tried_and_a_name_is_looked_up_once_a_minute(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing listens at the first one.
    asked = answer_names(monkeypatch, "127.0.0.99", "127.0.0.1")
    clock = FakeClock()
    url = httpx.URL(simulator.base_url).copy_with(host="service.test")

    async def scenario() -> None:
        transport = ResolvingTransport(clock, trust_env=False, limits=httpx.Limits())
        async with httpx.AsyncClient(transport=transport) as client:
            for _ in range(3):
                answer = await client.get(f"{url}/nothing")
                assert answer.request.url.host == "service.test"
            assert asked == ["service.test"]
            clock.advance(61)
            await client.get(f"{url}/nothing")
            assert asked == ["service.test"] * 2

    asyncio.run(scenario())


def test_a_name_that_nobody_knows_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer_names(monkeypatch)

    async def scenario() -> None:
        api = Assistants("http://nowhere.test/v1", "key")
        for _ in range(2):
            with pytest.raises(Unreachable):
                await api.fetch("thread_1", "run_1")
        await api.aclose()

    asyncio.run(scenario())
    assert asked == ["nowhere.test"] * 2


@pytest.mark.parametrize(
    ("environment", "is_so"),
    [
        ({}, False),
        ({"https_proxy": "http://proxy:3128"}, True),
        ({"http_proxy": "http://proxy:3128"}, False),
        ({"all_proxy": "http://proxy:3128"}, True),
        ({"https_proxy": "http://proxy:3128", "no_proxy": "service.test"}, False),
    ],
)
def test_a_proxy_looks_names_up_itself(
    environment: dict[str, str], is_so: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_proxied(httpx.URL("https://service.test/v1")) is is_so
