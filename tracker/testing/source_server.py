"""A source and the service that it asks, on the loopback, for the contract of a source."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar, TypeVar
from urllib.parse import parse_qsl

from tracker.core.snapshot import RunSnapshot
from tracker.errors import PayloadError, SourceError
from tracker.sources.source import Source

Result = TypeVar("Result")

START = datetime(2026, 1, 1, tzinfo=UTC)

# What a service answers to a GET: a status, a content type, and a body.
Reply = tuple[int, str, bytes]
# Told the path and the query.
Service = Callable[[str, Mapping[str, str]], Reply]


class ServedSource:
    """What the contract of a source is told of it, and how it is asked."""

    bodies: ClassVar[Sequence[Mapping[str, Any]]]

    def source_at(self, base_url: str) -> Source:
        """The source, for a service at this address; it keeps to itself until it is asked."""
        raise NotImplementedError

    @property
    def _source(self) -> Source:
        return self.source_at("http://127.0.0.1:9/v1")

    @property
    def _run_id(self) -> str:
        return self._snapshot(self.bodies[0]).run_id

    @property
    def _thread_id(self) -> str | None:
        return self._snapshot(self.bodies[0]).thread_id

    @property
    def _listed_thread_id(self) -> str:
        thread_id = self._thread_id
        assert thread_id, "a source that lists the runs of a thread has to show runs with a thread"
        return thread_id

    def _snapshot(self, body: bytes | Mapping[str, Any]) -> RunSnapshot:
        return self._source.snapshot(body, observed_at=START)

    @contextmanager
    def _serving(self, reply: Service) -> Iterator[Source]:
        """The source of a service on loopback that answers every GET so."""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                status, kind, body = reply(path, dict(parse_qsl(query)))
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield self.source_at(f"http://127.0.0.1:{server.server_port}/v1")
            finally:
                server.shutdown()
                thread.join()


async def closed(source: Source, asking: Coroutine[Any, Any, Result]) -> Result:
    """What a question brings; the source is closed then."""
    try:
        return await asking
    finally:
        await source.aclose()


def answered(source: Source, asking: Coroutine[Any, Any, Result]) -> Result:
    """What a question brings, from a loop of its own."""
    return asyncio.run(closed(source, asking))


def raised(kind: type[Exception], action: Callable[..., object], *arguments: object) -> bool:
    """Whether an action raises this kind of error, and not another of runfold's."""
    try:
        action(*arguments)
    except kind:
        return True
    except (SourceError, PayloadError) as error:
        raise AssertionError(f"{type(error).__name__} instead of {kind.__name__}") from error
    return False


def as_json(body: object) -> bytes:
    """An object as a service sends it."""
    return json.dumps(body).encode()
