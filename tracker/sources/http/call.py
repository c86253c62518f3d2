"""One HTTP call: the progress of its response, and its result."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from tracker.errors import (
    KeyRefused,
    Misconfigured,
    PayloadError,
    SourceError,
    Unreachable,
    UnusableAnswer,
)
from tracker.sources.answer import Answer, is_json, select_headers, server_date, wait_hint
from tracker.sources.documents import decode_body, decode_list, decode_page
from tracker.sources.http.api_keys import Secrets
from tracker.sources.http.body_reader import UnusableBody
from tracker.sources.http.error_mapping import (
    MAY_HAVE_HAPPENED,
    is_post,
    map_error,
    quote,
    read_message,
)

# Types that say nothing: the body may be JSON all the same.
_UNTYPED = ("", "text/plain", "text/json", "application/octet-stream", "binary/octet-stream")


@dataclass(slots=True)
class Call:
    """One request, and its response as far as it was received."""

    # Method and path, for errors.
    request: str
    host: str
    # In seconds.
    deadline: float
    # Largest size of the body, in bytes.
    cap: int
    # An earlier body that was checked: an equal one is not decoded.
    known: bytes | None = None
    # True if the response is an array, which is returned as the `data` of an object; or if it is
    # an object with its `data`, in place of which an array is taken too.
    is_list: bool = False
    is_page: bool = False
    # None until the key is known.
    secrets: Secrets | None = None
    asked_at: datetime | None = None
    # None until the head of the response was received.
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    body: bytearray = field(default_factory=bytearray, repr=False)

    @property
    def is_success(self) -> bool:
        """True if the head of a successful response was received."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def may_be_json(self) -> bool:
        """True if the head of the response does not say that its body is something else."""
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return is_json(self.headers) or media_type in _UNTYPED

    def key_error(self, error: KeyRefused) -> KeyRefused:
        """Returns the error of the key with the request that was not sent."""
        return KeyRefused(f"{self.request} was not sent: {error}")

    def result(
        self, now: datetime, failure: Exception | None
    ) -> tuple[Answer, dict[str, Any]] | SourceError:
        """Returns the answer and its object, or the error to raise.

        `failure` is the error that ended the call before the response was complete, if any.
        """
        if self.secrets is None:
            return KeyRefused(f"{self.request} was not sent: no key came in {self.deadline:g} s")
        if self.status is not None and not self.is_success:
            # The body may be incomplete: the status alone decides.
            return map_error(
                self.secrets.scrub(self.request),
                self.status,
                self.headers,
                bytes(self.body),
                now=now,
                secrets=self.secrets,
            )
        if failure is not None:
            return self._map_failure(failure, self.secrets)
        result = self._read_success(now, self.secrets)
        return self._uncertain(result) if isinstance(result, SourceError) else result

    def _map_failure(self, failure: Exception, secrets: Secrets) -> SourceError:
        request = secrets.scrub(self.request)
        reason = quote(str(failure), secrets) or "the connection broke"
        if isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
            return Unreachable(
                f"{request} was not sent, there is no way to {self.host}: {reason}. "
                "Check base_url and the network."
            )
        if isinstance(failure, httpx.LocalProtocolError):
            return Misconfigured(f"{request} cannot be sent: check the headers.")
        error: SourceError
        if isinstance(failure, UnusableBody):
            error = UnusableAnswer(f"{request} brought an answer of no use: {reason}.{self._note}")
        elif isinstance(failure, TimeoutError | httpx.TimeoutException):
            error = Unreachable(
                f"{request} brought no whole answer in {self.deadline:g} s.{self._note}"
            )
        elif self.is_success and isinstance(failure, httpx.ProtocolError):
            error = UnusableAnswer(f"{request} brought an answer cut off: {reason}.{self._note}")
        else:
            error = Unreachable(f"{request} brought no whole answer: {reason}.{self._note}")
        return self._uncertain(error)

    def _read_success(
        self, now: datetime, secrets: Secrets
    ) -> tuple[Answer, dict[str, Any]] | SourceError:
        request = secrets.scrub(self.request)
        if not self.may_be_json:
            media_type = quote(self.headers.get("content-type", ""), secrets) or "something"
            return UnusableAnswer(
                f"{request} brought {media_type} instead of JSON. "
                f"If it stays so, check base_url.{self._note}"
            )
        try:
            document, body = self._decode(bytes(self.body))
        except PayloadError as error:
            size = f"{len(self.body)} bytes"
            return UnusableAnswer(f"{request} brought {size} of no use: {error}.{self._note}")
        # The error of a run is its own.
        is_nameless = bool(document) and not document.keys() & {"id", "run_id"}
        if is_nameless and isinstance(document.get("error"), dict | str):
            message = quote(read_message(body).text, secrets)
            return UnusableAnswer(
                f"{request} brought an error as a success: {message}.{self._note}"
            )
        assert self.status is not None
        assert self.asked_at is not None
        answer = Answer(
            body,
            self.status,
            self.asked_at,
            now,
            server_date(self.headers),
            wait_hint(self.headers, now),
            select_headers(self.headers),
        )
        return answer, document

    def _decode(self, body: bytes) -> tuple[dict[str, Any], bytes]:
        if self.is_list:
            return {"data": decode_list(body)}, body
        if self.is_page:
            return decode_page(body), body
        return ({}, self.known) if self.known == body else decode_body(body)

    def _uncertain(self, error: SourceError) -> SourceError:
        error.may_have_happened = is_post(self.request)
        return error

    @property
    def _note(self) -> str:
        return f" {MAY_HAVE_HAPPENED}" if is_post(self.request) else ""
