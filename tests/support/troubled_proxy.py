"""A proxy before PostgreSQL that goes silent on its connections, or is away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy.engine import make_url


class TroubledProxy:
    """Passes bytes on to a database on the loopback. Its calls are safe from any thread."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._silent: set[asyncio.StreamWriter] = set()
        self._is_away = False
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The URL of the database through this proxy."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return self._url.set(port=port).render_as_string(hide_password=False)

    def silence(self) -> None:
        """Passes nothing more on between the two ends of the connections that there are."""
        self._loop.call_soon_threadsafe(lambda: self._silent.update(self._writers))

    def leave(self) -> None:
        """Ends all connections, and accepts no other."""
        self._loop.call_soon_threadsafe(self._leave)

    def come_back(self) -> None:
        """Accepts connections again."""
        self._is_away = False

    def _leave(self) -> None:
        self._is_away = True
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_away:
            writer.transport.abort()
            return
        with suppress(OSError, asyncio.CancelledError):
            theirs, to_database = await asyncio.open_connection("127.0.0.1", self._url.port)
            pair = {writer, to_database}
            self._writers |= pair
            try:
                await asyncio.gather(
                    self._pass_on(reader, to_database), self._pass_on(theirs, writer)
                )
            finally:
                self._writers -= pair
                for each in pair:
                    each.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if writer not in self._silent:
                writer.write(data)
                await writer.drain()
        if writer not in self._silent:
            writer.close()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self._leave()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def troubled_proxy(url: str) -> Iterator[TroubledProxy]:
    """Runs a proxy before the database of a URL."""
    proxy = TroubledProxy(url)
    proxy._thread.start()
    try:
        asyncio.run_coroutine_threadsafe(proxy._start(), proxy._loop).result(60)
        yield proxy
        asyncio.run_coroutine_threadsafe(proxy._stop(), proxy._loop).result(60)
    finally:
        proxy._loop.call_soon_threadsafe(proxy._loop.stop)
        proxy._thread.join()
        proxy._loop.close()
