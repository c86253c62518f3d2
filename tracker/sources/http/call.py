"""One question on its way, and what came of it."""

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
from tracker.sources.answer import Answer, is_json, kept_headers, server_date, wait_hint
from tracker.sources.documents import decode_body, decode_list
from tracker.sources.http.api_keys import Secrets
from tracker.sources.http.body_reader import Unfit
from tracker.sources.http.error_mapping import quote, refusal, words


@dataclass(slots=True)
class Call:
    """One question and how far its answer has come.

    `asked` is the method and the path, `where` the host, `deadline` in seconds, `cap` in bytes.
    `known` is a body that was found good before: the same again is not decoded. `listed` says
    that an array is to come, which is taken as the `data` of an object.
    `secrets` is None until the key is known, `status` until the head of the answer came.
    """

    asked: str
    where: str
    deadline: float
    cap: int
    known: bytes | None = None
    listed: bool = False
    secrets: Secrets | None = None
    asked_at: datetime | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    body: bytearray = field(default_factory=bytearray, repr=False)

    @property
    def succeeded(self) -> bool:
        """Whether the head of an answer came that promises the thing asked for."""
        return self.status in (200, 201)

    @property
    def is_json(self) -> bool:
        """Whether the head of the answer says that it is JSON."""
        return is_json(self.headers)

    def without_key(self, error: KeyRefused) -> KeyRefused:
        """The error where the key could not be had."""
        return KeyRefused(f"{self.asked} was not sent: {error}")

    def outcome(
        self, now: datetime, trouble: Exception | None
    ) -> tuple[Answer, dict[str, Any]] | SourceError:
        """The answer and the object in it, or the error that it amounts to, not yet raised.

        `trouble` is what ended the call before the answer was whole.
        """
        if self.secrets is None:
            return KeyRefused(f"{self.asked} was not sent: no key came in {self.deadline:g} s")
        if self.status is not None and not self.succeeded:
            # As far as it came: the status alone says what to do.
            return refusal(
                self.secrets.scrub(self.asked),
                self.status,
                self.headers,
                bytes(self.body),
                now=now,
                secrets=self.secrets,
            )
        if trouble is not None:
            return self._failure(trouble, self.secrets)
        return self._success(now, self.secrets)

    def _failure(self, trouble: Exception, secrets: Secrets) -> SourceError:
        asked = secrets.scrub(self.asked)
        said = quote(str(trouble), secrets) or "the connection broke"
        if isinstance(trouble, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
            return Unreachable(
                f"{asked} was not sent, there is no way to {self.where}: {said}. "
                "Check base_url and the network."
            )
        if isinstance(trouble, httpx.LocalProtocolError):
            return Misconfigured(f"{asked} cannot be sent: check the headers.")
        if isinstance(trouble, Unfit):
            return UnusableAnswer(f"{asked} brought an answer of no use: {said}.{self._doubt}")
        if isinstance(trouble, TimeoutError | httpx.TimeoutException):
            return Unreachable(
                f"{asked} brought no whole answer in {self.deadline:g} s.{self._doubt}"
            )
        if self.succeeded and isinstance(trouble, httpx.ProtocolError):
            return UnusableAnswer(f"{asked} brought an answer cut off: {said}.{self._doubt}")
        return Unreachable(f"{asked} brought no whole answer: {said}.{self._doubt}")

    def _success(
        self, now: datetime, secrets: Secrets
    ) -> tuple[Answer, dict[str, Any]] | UnusableAnswer:
        asked = secrets.scrub(self.asked)
        if not self.is_json:
            kind = quote(self.headers.get("content-type", ""), secrets) or "something"
            return UnusableAnswer(
                f"{asked} brought {kind} instead of JSON. "
                f"If it stays so, check base_url.{self._doubt}"
            )
        try:
            document, body = self._decoded(bytes(self.body))
        except PayloadError as error:
            size = f"{len(self.body)} bytes"
            return UnusableAnswer(f"{asked} brought {size} of no use: {error}.{self._doubt}")
        if document and "id" not in document and isinstance(document.get("error"), dict | str):
            said = quote(words(body).text, secrets)
            return UnusableAnswer(f"{asked} brought an error as a success: {said}.{self._doubt}")
        assert self.status is not None
        assert self.asked_at is not None
        answer = Answer(
            body,
            self.status,
            self.asked_at,
            now,
            server_date(self.headers),
            wait_hint(self.headers, now),
            kept_headers(self.headers),
        )
        return answer, document

    def _decoded(self, body: bytes) -> tuple[dict[str, Any], bytes]:
        if self.listed:
            return {"data": decode_list(body)}, body
        return ({}, self.known) if self.known == body else decode_body(body)

    @property
    def _doubt(self) -> str:
        posted = self.asked.startswith("POST ")
        return " The service may have done it all the same." if posted else ""
