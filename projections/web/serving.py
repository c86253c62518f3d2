"""The dashboard as a server of its own: a token, a check of the host, and no log of either."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from urllib.parse import parse_qsl, quote, urlencode

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from projections.web.app import PAGE_HEADERS
from tracker.errors import SettingsError

COOKIE = "runfold_token"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_TOKEN_BYTES = 32


def make_token() -> str:
    """Returns a token that nobody can guess."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


class TokenGuard:
    """Lets requests pass that know the token and ask for this host.

    The first visit brings the token in its URL, gets a cookie, and is sent on without it. A name
    that was made to lead to this machine from elsewhere is refused, since its pages could read
    what they get here.
    """

    def __init__(self, app: ASGIApp, token: str, host: str) -> None:
        self._app, self._token, self._host = app, token, host.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or refuses it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if not self._is_our_host(headers.get(b"host", "")):
            await _refuse(send, 421, "This server does not answer for that host name.")
            return
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = dict(query).get("token")
        if given is not None and self._is_token(given):
            rest = urlencode([it for it in query if it[0] != "token"])
            # Only the query is another one: relative to the URL that was asked for.
            location = f"?{rest}" if rest else quote(scope["path"], safe="/~")
            cookie = f"{COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/"
            await _send(send, 303, b"", ((b"location", location), (b"set-cookie", cookie)))
            return
        if not self._is_token(_read_cookie(headers.get(b"cookie", ""))):
            text = "Open the URL that `runfold serve` printed: it has the token of this server."
            await _refuse(send, 401, text)
            return
        await self._app(scope, receive, send)

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self._token.encode())

    def _is_our_host(self, header: str) -> bool:
        name = _strip_port(header).lower()
        if name in LOOPBACK or (name == self._host and name):
            return True
        return self._host in ("0.0.0.0", "::") and _is_address(name)


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket that listens; port 0 is any free one. Raises SettingsError if taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise SettingsError(f"cannot listen on {host} port {port}: {error}") from error


def run_server(app: ASGIApp, listener: socket.socket) -> None:
    """Serves an application until Ctrl-C, without a log of requests, whose URLs may have tokens.

    Raises KeyboardInterrupt on Ctrl-C.
    """
    config = uvicorn.Config(app, log_level="error", access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[listener])


def _strip_port(header: str) -> str:
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _read_cookie(header: str) -> str:
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


async def _refuse(send: Send, status: int, text: str) -> None:
    await _send(send, status, text.encode(), ((b"content-type", "text/plain; charset=utf-8"),))


async def _send(
    send: Send, status: int, body: bytes, headers: tuple[tuple[bytes, str], ...]
) -> None:
    every = [
        *((name.lower().encode(), value.encode()) for name, value in PAGE_HEADERS.items()),
        *((name, value.encode("latin-1", "replace")) for name, value in headers),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": every})
    await send({"type": "http.response.body", "body": body})
