"""A server on the loopback for the contract of a source, and ways to call a source."""

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

# The response to a GET: status, content type and body.
Reply = tuple[int, str, bytes]
# Responds to a path and a query.
Service = Callable[[str, Mapping[str, str]], Reply]


class SourceUnderTest:
    """A source and a run of its service, as a contract has them."""

    bodies: ClassVar[Sequence[Mapping[str, Any]]]

    def source_at(self, base_url: str) -> Source:
        """Returns the source for a service at this address; it must not send requests by itself."""
        raise NotImplementedError

    @property
    def _source(self) -> Source:
        return self.source_at("http://127.0.0.1:9/v1")

    @property
    def _run_id(self) -> str:
        return self._snapshot(self.bodies[0]).run_id

    @property
    def _thread_id(self) -> str:
        return self._snapshot(self.bodies[0]).thread_id or ""

    def _snapshot(self, body: bytes | Mapping[str, Any]) -> RunSnapshot:
        return self._source.snapshot(body, observed_at=START)

    @contextmanager
    def _serve(self, service: Service) -> Iterator[Source]:
        """Runs a service on the loopback, and yields the source for it."""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                status, content_type, body = service(path, dict(parse_qsl(query)))
                self.send_response(status)
                self.send_header("content-type", content_type)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Logs nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield self.source_at(f"http://127.0.0.1:{server.server_port}/v1")
            finally:
                server.shutdown()
                thread.join()


async def close_after(source: Source, call: Coroutine[Any, Any, Result]) -> Result:
    """Returns the result of a call, and closes the source."""
    try:
        return await call
    finally:
        await source.aclose()


def run_call(source: Source, call: Coroutine[Any, Any, Result]) -> Result:
    """Runs a call in an event loop of its own, and closes the source."""
    return asyncio.run(close_after(source, call))


def raises(error_type: type[Exception], action: Callable[..., object], *arguments: object) -> bool:
    """True if an action raises this type of error. Fails if it raises another of runfold's."""
    try:
        action(*arguments)
    except error_type:
        return True
    except (SourceError, PayloadError) as error:
        raise AssertionError(f"{type(error).__name__} instead of {error_type.__name__}") from error
    return False


def to_json(body: object) -> bytes:
    """Encodes an object as a service sends it."""
    return json.dumps(body).encode()
