"""HTTP responses of the simulated faults."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import zlib
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from tracker.simulator.model.errors import error_body
from tracker.simulator.model.faults import Faults

_PAGE = "<!doctype html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
_BLOCK = 64 * 1024


def make_rejection(fault: str, faults: Faults, headers: dict[str, str]) -> Response:
    """Returns the response to a request that is rejected without being executed."""
    match fault:
        case "rate_limited" | "rate_limited_silently":
            if fault == "rate_limited":
                headers = {
                    **headers,
                    "retry-after": str(max(1, round(faults.retry_after))),
                    "retry-after-ms": str(round(faults.retry_after * 1000)),
                }
            body = error_body(
                "Rate limit reached for requests.", "requests", code="rate_limit_exceeded"
            )
            return JSONResponse(body, 429, headers)
        case "bad_gateway":
            return Response(_PAGE.format("502 Bad Gateway"), 502, headers, "text/html")
        case "redirect":
            return Response(b"", 302, {**headers, "location": "/health"})
        case "reset":
            return BrokenResponse(None)
        case _:
            status = {"server_error": 500, "unavailable": 503, "overloaded": 529}[fault]
            body = error_body("The server had an error processing the request.", "server_error")
            return JSONResponse(body, status, headers)


def make_faulty_response(
    fault: str, faults: Faults, body: dict[str, Any], headers: dict[str, str]
) -> Response:
    """Returns a faulty 200 response to a request that was executed."""
    content = json.dumps(body).encode()
    match fault:
        case "slow_drip":
            headers = {**headers, "content-length": str(len(content))}
            return StreamingResponse(
                _drip(content, faults), 200, headers, media_type="application/json"
            )
        case "truncated":
            return BrokenResponse(content[: len(content) // 2], headers)
        case "cut":
            headers = {**headers, "content-length": str(len(content))}
            return BrokenResponse(content[: len(content) // 2], headers)
        case "malformed":
            content = content.replace(b'": ', b'" = ', 3)
        case "html":
            return Response(_PAGE.format("Sign in"), 200, headers, "text/html")
        case "empty":
            content = b""
        case "wrong_id":
            content = json.dumps(_replace_ids(body)).encode()
        case "huge":
            return StreamingResponse(
                _pad(content, faults.huge_bytes), 200, headers, media_type="application/json"
            )
        case "gzip_bomb":
            content = _make_gzip_bomb(content, faults.bomb_bytes)
            headers = {**headers, "content-encoding": "gzip"}
        case _:
            raise ValueError(f"no such fault: {fault}")
    return Response(content, 200, headers, "application/json")


class BrokenResponse(Response):
    """Sends half a response, or nothing, and closes the connection."""

    def __init__(self, half: bytes | None, headers: dict[str, str] | None = None) -> None:
        super().__init__(half, 200, headers)
        self._half = half
        self._lines = {"content-type": "application/json", "connection": "close", **(headers or {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = scope.get("state", {}).get("transport")
        if transport is None:
            raise ConnectionResetError("the simulator broke the connection")

        # ASGI cannot send invalid HTTP, so this writes to the transport.
        if self._half is None:
            linger = struct.pack("ii", 1, 0)
            raw = transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            transport.abort()
        else:
            lines = "".join(f"{key}: {value}\r\n" for key, value in self._lines.items())
            transport.write(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode("latin-1") + self._half)
            transport.close()

        # The server sends a response of its own if the application returns before the disconnect.
        while (await receive())["type"] != "http.disconnect":
            pass


async def _drip(content: bytes, faults: Faults) -> AsyncIterator[bytes]:
    for start in range(0, len(content), faults.drip_bytes):
        if start:
            await asyncio.sleep(faults.drip_pause)
        yield content[start : start + faults.drip_bytes]


async def _pad(content: bytes, size: int) -> AsyncIterator[bytes]:
    yield content[:-1] + b', "padding": "'
    for _ in range(0, size, _BLOCK):
        yield b"x" * _BLOCK
    yield b'"}'


def _make_gzip_bomb(content: bytes, size: int) -> bytes:
    squeeze = zlib.compressobj(1, wbits=31)
    parts = [squeeze.compress(content[:-1] + b', "padding": "')]
    parts += [squeeze.compress(b"x" * _BLOCK) for _ in range(0, size, _BLOCK)]
    parts += [squeeze.compress(b'"}'), squeeze.flush()]
    return b"".join(parts)


def _replace_ids(body: dict[str, Any]) -> dict[str, Any]:
    if isinstance(body.get("data"), list):
        return {**body, "data": [_replace_ids(each) for each in body["data"]]}

    ids = {name: str(body[name]) for name in ("id", "thread_id") if body.get(name)}
    others = {
        name: it[:-4] + ("0000" if not it.endswith("0000") else "1111") for name, it in ids.items()
    }
    return {**body, **others}
