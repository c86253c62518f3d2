"""The base class of sources over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypedDict

from tracker.core.snapshot import RunSnapshot
from tracker.errors import SettingsError
from tracker.runtime.clock import Clock
from tracker.sources.answer import Answer
from tracker.sources.http.address import path_of
from tracker.sources.http.api_keys import ApiKey
from tracker.sources.http.transport import RUN_CAP, AuthHeader, Query, Transport
from tracker.sources.payload_format import PayloadFormat

if TYPE_CHECKING:
    import httpx


class HttpSettings(TypedDict, total=False):
    """Settings of the connection beside address, key and headers; see `Transport`."""

    params: Mapping[str, str] | None
    deadline: float
    connect_timeout: float
    max_connections: int
    clock: Clock | None
    transport: httpx.AsyncBaseTransport | None


class HttpSource:
    """A service that is asked over HTTP: the base class of the sources here, and of your own.

    A subclass implements `fetch`, and either sets `payload_format` or overrides `snapshot`,
    `glance` and `recognises`. `name` is the `source` of its runs, `api_version` a parameter of
    Azure; the others are documented at `Transport`. Nothing is opened before the first call; a
    call after `aclose` opens new connections. Raises SettingsError for an unusable name or
    address.
    """

    payload_format: ClassVar[PayloadFormat]
    # True if a run can only be asked about on its thread.
    needs_thread: ClassVar[bool] = False

    def __init__(
        self,
        base_url: str,
        api_key: ApiKey = None,
        *,
        name: str,
        api_version: str | None = None,
        auth_header: AuthHeader = "bearer",
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        deadline: float = 30.0,
        connect_timeout: float = 5.0,
        max_connections: int = 32,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._name = _check_name(name)
        self._transport = Transport(
            base_url,
            api_key=api_key,
            auth_header=auth_header,
            headers=headers,
            params={**({"api-version": api_version} if api_version else {}), **(params or {})},
            deadline=deadline,
            connect_timeout=connect_timeout,
            max_connections=max_connections,
            clock=clock,
            transport=transport,
        )

    @property
    def name(self) -> str:
        """The `source` of the runs of this service."""
        return self._name

    def path_below(self, url: Any) -> str | None:
        """Returns the path of a URL (of httpx) below `base_url`, None if it is not below it."""
        return self._transport.path_below(url)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r}, {self._transport!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def glance(self, body: bytes) -> object:
        """Returns the fields of a run that change, as sent, to be compared with `==`; cheap.

        Raises PayloadError for a body that is not a run.
        """
        return self.payload_format.glance(body)

    def snapshot(
        self,
        body: Any,
        *,
        observed_at: datetime,
        asked_at: datetime | None = None,
        unchanged_until: datetime | None = None,
    ) -> RunSnapshot:
        """Returns a run as a snapshot; `body` is bytes, a JSON object, or a model of this source.

        Raises PayloadError naming the missing or wrong fields.
        """
        return self.payload_format.snapshot(
            body,
            self._name,
            observed_at=observed_at,
            asked_at=asked_at,
            unchanged_until=unchanged_until,
        )

    def check_ids(self, thread_id: str | None, run_id: str) -> None:
        """Raises SettingsError for a run that the service can never be asked about."""
        if self.needs_thread and not thread_id:
            raise SettingsError(
                f"{run_id} is not watched: say which thread it is on, as the source "
                f"{self.name!r} can only be asked about it there"
            )
        path_of(*filter(None, (thread_id, run_id)))

    def recognises(self, body: Mapping[str, Any]) -> bool:
        """True if a document of unknown origin is a run of this API, and of no other."""
        return self.payload_format.recognises(body)

    async def aclose(self) -> None:
        """Closes the connections; a later call opens new ones."""
        await self._transport.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        cap: int = RUN_CAP,
        query: Query = (),
        document: Mapping[str, Any] | None = None,
        known: bytes | None = None,
    ) -> tuple[Answer, dict[str, Any]]:
        """Sends one request. Returns the answer and the JSON object in it, as `Transport.ask`."""
        return await self._transport.ask(
            method, path, cap=cap, query=query, document=document, known=known
        )


def _check_name(name: str) -> str:
    if not (0 < len(name) <= 64 and name.isprintable() and ":" not in name):
        raise SettingsError(
            f"a source cannot be named {name[:80]!r}: take 1 to 64 printable characters, no colon"
        )
    if name == "configuration":
        raise SettingsError("a source cannot be named 'configuration', which the store uses itself")
    return name
