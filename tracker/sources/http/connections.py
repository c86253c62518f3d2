"""Connections to one service, each used by one request at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

import httpx

from tracker.runtime.clock import Clock


class Connections(httpx.AsyncBaseTransport):
    """Keeps connections of httpx apart, and gives each request one of its own.

    Requests that start together would all be given the same idle connection of a pool, and all but
    one would look again, each time at all connections: at 32 at once that takes ten times as long
    as the requests. `keepalive_expiry` of `limits` closes idle connections, which are used last
    one first.
    """

    def __init__(self, clock: Clock, *, trust_env: bool, limits: httpx.Limits) -> None:
        self._clock = clock
        self._trust_env = trust_env
        self._expiry = limits.keepalive_expiry
        self._limits = httpx.Limits(
            max_connections=1, max_keepalive_connections=1, keepalive_expiry=limits.keepalive_expiry
        )
        # Loading the certificates takes longer than a request.
        self._context = httpx.create_ssl_context(trust_env=trust_env)
        self._free = asyncio.Semaphore(limits.max_connections or 100)
        # The connections that no request uses, and since when; monotonic seconds.
        self._idle: deque[tuple[float, httpx.AsyncHTTPTransport]] = deque()
        self._in_use: set[httpx.AsyncHTTPTransport] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request on a connection that is free, or on a new one."""
        await self._free.acquire()
        transport = self._idle.pop()[1] if self._idle else self._open()
        self._in_use.add(transport)

        def release() -> None:
            self._in_use.remove(transport)
            self._idle.append((self._clock.monotonic(), transport))
            self._free.release()

        try:
            await self._close_expired()
            response = await transport.handle_async_request(request)
        except BaseException:
            release()
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Body(response.stream, release)
        return response

    async def aclose(self) -> None:
        """Closes all connections; requests that are under way fail."""
        for transport in (*self._in_use, *(it for _, it in self._idle)):
            await transport.aclose()
        self._idle.clear()

    def _open(self) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(
            verify=self._context, trust_env=self._trust_env, limits=self._limits
        )

    async def _close_expired(self) -> None:
        if self._expiry is None:
            return
        while self._idle and self._clock.monotonic() - self._idle[0][0] > self._expiry:
            await self._idle.popleft()[1].aclose()


class _Body(httpx.AsyncByteStream):
    """The body of a response. Closing it gives its connection free."""

    def __init__(self, body: httpx.AsyncByteStream, release: Callable[[], None]) -> None:
        self._body = body
        self._release: Callable[[], None] | None = release

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._body:
            yield part

    async def aclose(self) -> None:
        try:
            await self._body.aclose()
        finally:
            if self._release is not None:
                self._release()
                self._release = None
