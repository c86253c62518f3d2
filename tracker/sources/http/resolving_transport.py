"""An HTTP transport that looks host names up in threads of the tracker's own."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.request import getproxies, proxy_bypass

import httpx

from tracker.runtime.clock import Clock
from tracker.runtime.worker_threads import WorkerThreads
from tracker.sources.http.connections import Connections

# Addresses are looked up again after so many seconds, and when none of them can be reached.
_KEPT_SECONDS = 60.0


class ResolvingTransport(httpx.AsyncBaseTransport):
    """Connections to one service, for hosts whose names are looked up here.

    An event loop looks names up in its default executor, which the application may have filled:
    then no new connection would be made. TLS and the `Host` header keep the name.
    """

    def __init__(self, clock: Clock, *, trust_env: bool, limits: httpx.Limits) -> None:
        self._connections = Connections(clock, trust_env=trust_env, limits=limits)
        self._clock = clock
        self._threads = WorkerThreads()
        # The addresses of each host, and until when they are used; monotonic seconds.
        self._addresses: dict[tuple[str, int], tuple[float, Sequence[str]]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request to the first address of its host that accepts a connection."""
        url, host = request.url, request.url.host
        if _is_address(host):
            return await self._connections.handle_async_request(request)
        key = (host, url.port or (443 if url.scheme == "https" else 80))
        extensions = {"sni_hostname": host, **request.extensions}
        error: httpx.HTTPError | None = None
        for address in await self._resolve(*key, request):
            there = httpx.Request(
                request.method,
                url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions=extensions,
            )
            try:
                return await self._connections.handle_async_request(there)
            except (httpx.ConnectError, httpx.ConnectTimeout) as failed:
                error = failed
        self._addresses.pop(key, None)
        raise error or httpx.ConnectError(f"{host} has no address", request=request)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._connections.aclose()
        self._threads.close()

    async def _resolve(self, host: str, port: int, request: httpx.Request) -> Sequence[str]:
        now, known = self._clock.monotonic(), self._addresses.get((host, port))
        if known is not None and now < known[0]:
            return known[1]
        try:
            found = await self._threads.run(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpx.ConnectError(f"{host}: {error}", request=request) from error
        # Each once, in their order.
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        self._addresses[host, port] = now + _KEPT_SECONDS, addresses
        return addresses


def is_proxied(url: httpx.URL) -> bool:
    """True if the environment names a proxy for a URL, which then looks its name up."""
    proxies = getproxies()
    if not {url.scheme, "all"} & proxies.keys():
        return False
    return not proxy_bypass(url.host)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
