"""HTTP transport: one request, one response within a deadline and a size, or a RunfoldError.

A request is never repeated: retries are left to the caller, who knows the state of the source.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import httpx

from tracker.errors import (
    KeyRefused,
    Misconfigured,
    NotFound,
    RequestRefused,
    SettingsError,
    SourceError,
    UnusableAnswer,
)
from tracker.runtime.clock import Clock, SystemClock
from tracker.sources.answer import Answer
from tracker.sources.documents import encode
from tracker.sources.http.address import (
    QuietUrl,
    check_headers,
    is_loopback,
    path_below,
    service_url,
)
from tracker.sources.http.api_keys import ApiKey, Secrets, current_key
from tracker.sources.http.body_reader import UnusableBody, read_body
from tracker.sources.http.call import Call
from tracker.sources.http.resolving_transport import ResolvingTransport, is_proxied

RUN_CAP = 2_000_000
PAGE_CAP = 8_000_000

# Enough for the message of an error.
ERROR_CAP = 65_536
# Connections are kept between polls: a handshake costs more than a poll.
_KEPT_SECONDS = 30.0

Query = Sequence[tuple[str, str]]
AuthHeader = Literal["bearer", "api-key", "x-api-key"]


class Transport:
    """HTTP access to one service. Opens nothing before the first request.

    `api_key` is a text or a function, async or not, called at each request; one that is not
    async must not block. `auth_header` is the header of the key: `Authorization: Bearer`,
    `api-key` or `x-api-key`. `deadline` is in seconds and covers a whole call, including the wait
    for its key and a free connection. `params` are added to every query; their values, except
    `api-version`, are hidden in logs and errors. Use it within one event loop; a call after
    `aclose` opens new connections.
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
        self._headers = check_headers(headers)
        self._params = dict(params or {})
        # Other parameters of a caller may be keys.
        self._hidden = {name: self._params[name] for name in self._params.keys() - {"api-version"}}
        self._deadline = deadline
        self._connect_timeout = connect_timeout
        self._max_connections = max_connections
        self._clock = clock or SystemClock()
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        # The last path without a query that was answered, to tell a missing run from a wrong
        # address.
        self._answered: str | None = None

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
        is_list: bool = False,
        is_page: bool = False,
    ) -> tuple[Answer, dict[str, Any]]:
        """Sends one request. Returns the answer and the JSON object in it; `cap` is in bytes.

        Any status from 200 to 299 brings an answer. One whose body equals `known` is not decoded:
        its object is empty. With `is_list` the response is a bare array, returned as the `data` of
        the object; with `is_page` it may be one.

        Raises SourceError as `error_mapping` maps the status; Unreachable if no complete response
        came in time; UnusableAnswer for one that is too large, cut off or not a JSON object;
        KeyRefused if there is no key to send; SettingsError for a document that JSON cannot
        hold. No message, cause or context holds the key.
        """
        content = None if document is None else encode(document)
        request = f"{method} {self._url.path.rstrip('/')}{path}"
        host = self._url.netloc.decode()
        call = Call(request, host, self._deadline, cap, known, is_list, is_page)
        # Raised here, so that no exception that holds the request is its context.
        result = await self._perform(call, method, path, query, content)
        if isinstance(result, SourceError):
            raise result
        if method == "GET" and not query:
            self._answered = path
        return result

    async def ask_about(
        self, path: str, known: bytes | None = None, *, probes: Sequence[str] = ()
    ) -> tuple[Answer, dict[str, Any]]:
        """Returns the answer to a request for one document, as `ask` does.

        A 404 without a word of the API is Misconfigured, for the address may be wrong. If the
        service still answers what it answered last, or one of the `probes`, the document is
        missing, which is NotFound.
        """
        before = self._answered
        try:
            return await self.ask("GET", path, known=known)
        except Misconfigured as error:
            if error.status not in (404, 410):
                raise
            denied = error
        for probe in dict.fromkeys(filter(None, (before, *probes))):
            if probe == path:
                continue
            denied.requests += 1
            try:
                await self.ask("GET", probe, is_page=True)
            except (NotFound, Misconfigured, RequestRefused, UnusableAnswer):
                self._answered = None if self._answered == probe else self._answered
            except SourceError as error:
                error.requests = denied.requests
                raise
            else:
                missing = NotFound(str(denied).partition(". Check that base_url")[0] + ".")
                missing.requests, missing.status = denied.requests, denied.status
                raise missing
        raise denied

    def path_below(self, url: Any) -> str | None:
        """Returns the path of a URL below the address of the service, else None."""
        return path_below(self._url, url)

    async def aclose(self) -> None:
        """Closes the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _perform(
        self, call: Call, method: str, path: str, query: Query, content: bytes | None
    ) -> tuple[Answer, dict[str, Any]] | SourceError:
        failure: Exception | None = None
        try:
            async with asyncio.timeout(self._deadline):
                key = await current_key(self._api_key)
                call.secrets = Secrets(key, self._headers, self._hidden.values())
                await self._exchange(
                    call, self._build_request(call.secrets, method, path, query, content)
                )
        except KeyRefused as error:
            return call.key_error(error)
        except (TimeoutError, UnusableBody, httpx.HTTPError, httpx.StreamError, OSError) as error:
            failure = error
        try:
            return call.result(self._clock.now(), failure)
        finally:
            # An error refers to the frames that it came through, which would keep the body alive.
            call.body.clear()

    async def _exchange(self, call: Call, request: httpx.Request) -> None:
        call.asked_at = self._clock.now()
        response = await self._open_client().send(request, stream=True)
        try:
            call.headers = dict(response.headers)
            call.status = response.status_code
            if call.is_success and not call.may_be_json:
                return
            # The raw stream: httpx would decompress it without a limit.
            stream = response.stream
            assert isinstance(stream, httpx.AsyncByteStream)
            await read_body(
                stream,
                call.body,
                encoding=call.headers.get("content-encoding", ""),
                length=call.headers.get("content-length", ""),
                cap=call.cap if call.is_success else ERROR_CAP,
            )
        finally:
            await response.aclose()

    def _build_request(
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
        request = self._open_client().build_request(
            method, url, params=params, headers=headers, content=content
        )
        if self._hidden:
            request.url = QuietUrl(request.url, self._hidden)
        return request

    def _open_client(self) -> httpx.AsyncClient:
        if self._client is None:
            trust_env = not is_loopback(self._url)
            limits = httpx.Limits(
                max_connections=self._max_connections,
                max_keepalive_connections=self._max_connections,
                keepalive_expiry=_KEPT_SECONDS,
            )
            transport = self._transport
            if transport is None and not (trust_env and is_proxied(self._url)):
                transport = ResolvingTransport(self._clock, trust_env=trust_env, limits=limits)
            self._client = httpx.AsyncClient(
                transport=transport,
                follow_redirects=False,
                trust_env=trust_env,
                # The deadline covers the other phases.
                timeout=httpx.Timeout(None, connect=self._connect_timeout),
                limits=limits,
            )
        return self._client
