"""One question, one answer: over HTTP, within a deadline and a size, or a RunfoldError.

It never asks twice: when to ask again is for the caller, who sees the whole of a source.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import httpx

from tracker.errors import KeyRefused, SettingsError, SourceError
from tracker.runtime.clock import Clock, SystemClock
from tracker.sources.answer import Answer
from tracker.sources.documents import encode
from tracker.sources.http.address import (
    QuietUrl,
    checked_headers,
    is_loopback,
    path_below,
    service_url,
)
from tracker.sources.http.api_keys import ApiKey, Secrets, current_key
from tracker.sources.http.body_reader import Unfit, receive
from tracker.sources.http.call import Call

RUN_CAP = 2_000_000
PAGE_CAP = 8_000_000

# An error says what it has to say in less.
ERROR_CAP = 65_536
# Connections are kept between polls: a handshake costs more than a poll.
_KEPT_SECONDS = 30.0

Query = Sequence[tuple[str, str]]
AuthHeader = Literal["bearer", "api-key", "x-api-key"]


class Transport:
    """The way to one service. It opens nothing before the first question.

    `api_key` is a text or a function, async or not, called at each request; one that is not
    async must not block. `auth_header` says whether it goes as `Authorization: Bearer`, or as
    `api-key` or `x-api-key`. `deadline` is in seconds, for the whole of a call, the waiting for
    its key and a free connection included. `params` are added to every query, and their values
    are shown nowhere but for `api-version`. Use it within one event loop; after `aclose` it opens
    anew.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: ApiKey = None,
        auth_header: AuthHeader = "bearer",
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        deadline: float = 30.0,
        connect_timeout: float = 5.0,
        max_connections: int = 32,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if auth_header not in get_args(AuthHeader):
            raise SettingsError('auth_header has to be "bearer", "api-key" or "x-api-key"')
        if not (deadline > 0 and connect_timeout > 0 and max_connections > 0):
            raise SettingsError("deadline, connect_timeout and max_connections have to be above 0")
        self._url = service_url(base_url)
        self._api_key = api_key
        self._auth_header = auth_header
        self._headers = checked_headers(headers)
        self._params = dict(params or {})
        # Whatever else a caller puts into each address may be a key.
        self._hidden = {name: self._params[name] for name in self._params.keys() - {"api-version"}}
        self._deadline = deadline
        self._connect_timeout = connect_timeout
        self._max_connections = max_connections
        self._clock = clock or SystemClock()
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    def __repr__(self) -> str:
        return f"Transport({str(self._url)!r})"

    async def ask(
        self,
        method: str,
        path: str,
        *,
        cap: int = RUN_CAP,
        query: Query = (),
        document: Mapping[str, Any] | None = None,
        known: bytes | None = None,
        listed: bool = False,
    ) -> tuple[Answer, dict[str, Any]]:
        """The answer to one request, and the JSON object in it. `cap` is in bytes.

        An answer with the body `known` is not decoded: its object is empty. Where the service
        answers with a bare array (`listed`), that is the `data` of the object.

        Raises SourceError as `error_mapping` reads the status; Unreachable where no
        whole answer came in time; UnusableAnswer for one that is too large, cut off or no JSON
        object; KeyRefused where the key could not be had; SettingsError for a document that is
        no JSON. No message, cause or context holds the key.
        """
        content = None if document is None else encode(document)
        asked = f"{method} {self._url.path.rstrip('/')}{path}"
        call = Call(asked, self._url.netloc.decode(), self._deadline, cap, known, listed)
        # Raised out here, so that no exception that holds the request stays its context.
        outcome = await self._settle(call, method, path, query, content)
        if isinstance(outcome, SourceError):
            raise outcome
        return outcome

    def path_below(self, url: Any) -> str | None:
        """The path of a URL below the address of the service, None where it is not below it."""
        return path_below(self._url, url)

    async def aclose(self) -> None:
        """Closes the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _settle(
        self, call: Call, method: str, path: str, query: Query, content: bytes | None
    ) -> tuple[Answer, dict[str, Any]] | SourceError:
        trouble: Exception | None = None
        try:
            async with asyncio.timeout(self._deadline):
                key = await current_key(self._api_key)
                call.secrets = Secrets(key, self._headers, self._hidden.values())
                await self._exchange(
                    call, self._request(call.secrets, method, path, query, content)
                )
        except KeyRefused as error:
            return call.without_key(error)
        except (TimeoutError, Unfit, httpx.HTTPError, httpx.StreamError, OSError) as error:
            trouble = error
        try:
            return call.outcome(self._clock.now(), trouble)
        finally:
            # An error refers to the frames that it came through, which would keep it for long.
            call.body.clear()

    async def _exchange(self, call: Call, request: httpx.Request) -> None:
        call.asked_at = self._clock.now()
        response = await self._connected().send(request, stream=True)
        try:
            call.headers = dict(response.headers)
            call.status = response.status_code
            if call.succeeded and not call.is_json:
                return
            # The stream itself: httpx would unpack it without a bound.
            stream = response.stream
            assert isinstance(stream, httpx.AsyncByteStream)
            await receive(
                stream,
                call.body,
                encoding=call.headers.get("content-encoding", ""),
                length=call.headers.get("content-length", ""),
                cap=call.cap if call.succeeded else ERROR_CAP,
            )
        finally:
            await response.aclose()

    def _request(
        self, secrets: Secrets, method: str, path: str, query: Query, content: bytes | None
    ) -> httpx.Request:
        headers = {
            "accept": "application/json",
            "user-agent": "runfold",
            **self._headers,
            "accept-encoding": "identity",
        }
        if content is not None:
            headers["content-type"] = "application/json"
        if secrets.key is not None and self._auth_header == "bearer":
            headers["authorization"] = f"Bearer {secrets.key}"
        elif secrets.key is not None:
            headers[self._auth_header] = secrets.key
        url = f"{str(self._url).rstrip('/')}{path}"
        params = httpx.QueryParams([*self._params.items(), *query])
        request = self._connected().build_request(
            method, url, params=params, headers=headers, content=content
        )
        if self._hidden:
            request.url = QuietUrl(request.url, self._hidden)
        return request

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                transport=self._transport,
                follow_redirects=False,
                trust_env=not is_loopback(self._url),
                # The deadline bounds what these leave open.
                timeout=httpx.Timeout(None, connect=self._connect_timeout),
                limits=httpx.Limits(
                    max_connections=self._max_connections,
                    max_keepalive_connections=self._max_connections,
                    keepalive_expiry=_KEPT_SECONDS,
                ),
            )
        return self._client
