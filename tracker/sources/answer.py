"""What came back to one question: the body as sent, when, and what the service hinted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from tracker.errors import SourceError

# A hint is honoured, but one header must not silence a run for days.
LONGEST_HINT_SECONDS = 3600.0

_KEPT_HEADERS = ("apim-request-id", "openai-processing-ms", "openai-version", "x-request-id")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer that was checked to be the one asked for, and not read further.

    `asked_at` is when the question was sent and `observed_at` when the last byte came, by our
    clock; `date` is the server's own clock then. `poll_after` is the wait in seconds that the
    service asks for before the next question. `headers` keeps, in lower case, those that help
    to find a request again and the `x-ratelimit-*`. `requests` is how many it took.
    """

    body: bytes = field(repr=False)
    status: int
    asked_at: datetime
    observed_at: datetime
    date: datetime | None = None
    poll_after: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    requests: int = 1

    def then(self, last: Answer, body: bytes | None = None) -> Answer:
        """This answer and the `last`, which was asked for after it, as one, with another `body`."""
        waits = [it.poll_after for it in (self, last) if it.poll_after is not None]
        return replace(
            self,
            body=self.body if body is None else body,
            observed_at=last.observed_at,
            poll_after=max(waits, default=None),
            headers={**self.headers, **last.headers},
            requests=self.requests + last.requests,
        )


@contextmanager
def following(answer: Answer) -> Iterator[None]:
    """What is asked within comes after `answer`, whose requests count too where that fails."""
    try:
        yield
    except SourceError as error:
        error.requests += answer.requests
        raise


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Those of `headers` (lower case) that an `Answer` keeps."""
    return {
        name: value
        for name, value in headers.items()
        if name in _KEPT_HEADERS or name.startswith("x-ratelimit-")
    }


def is_json(headers: Mapping[str, str]) -> bool:
    """Whether the headers (lower case) say that the body is JSON."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    subtype = kind.removeprefix("application/")
    return kind != subtype and (subtype == "json" or subtype.endswith("+json"))


def requests_left(headers: Mapping[str, str]) -> float | None:
    """How many requests the service lets through now (`x-ratelimit-remaining-requests`)."""
    text = headers.get("x-ratelimit-remaining-requests")
    left = None if text is None else _number(text)
    return None if left is None or left < 0 else left


def server_date(headers: Mapping[str, str]) -> datetime | None:
    """The `Date` header (RFC 9110, 6.6.1), or None where it is missing or none."""
    return _http_date(headers.get("date", ""))


def wait_hint(headers: Mapping[str, str], now: datetime) -> float | None:
    """The wait in seconds that the headers (lower case) ask for, from 0 to an hour.

    Reads `openai-poll-after-ms`, then `retry-after-ms`, then `retry-after`, which is seconds or
    a date (RFC 9110, 10.2.3); a date counts from the server's `Date`, else from `now`.
    """
    for name, unit in (
        ("openai-poll-after-ms", 1000),
        ("retry-after-ms", 1000),
        ("retry-after", 1),
    ):
        text = headers.get(name, "").strip()
        seconds = _number(text)
        if seconds is not None:
            return _bounded(seconds / unit)
        until = _http_date(text) if name == "retry-after" else None
        if until is not None:
            return _bounded((until - (server_date(headers) or now)).total_seconds())
    return None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_HINT_SECONDS)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
