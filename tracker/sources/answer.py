"""Answers of services: the body as sent, its times, and the hints in its headers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from tracker.errors import SourceError

# A hint is honoured, but one header must not silence a run for days.
LONGEST_HINT_SECONDS = 3600.0

# A larger number is no duration, but a time: seconds since 1970, or milliseconds.
_LONGEST_SECONDS, _LONGEST_UNIX_SECONDS = 1e9, 1e11
# Durations as Go writes them: `1m30s`, `6ms`.
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(h|ms|m|s|us|µs|μs|ns)\s*")
_UNITS = {
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ns": 1e-9,
}

_SELECTED_HEADERS = ("apim-request-id", "openai-processing-ms", "openai-version", "x-request-id")


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer, checked to be about the run asked for, and not decoded further."""

    body: bytes = field(repr=False)
    status: int
    # By our clock: the request was sent, and the last byte was received.
    asked_at: datetime
    observed_at: datetime
    # By the clock of the server.
    date: datetime | None = None
    # Seconds that the service asks to wait before the next request.
    poll_after: float | None = None
    # In lower case: those that identify a request to the service, and `x-ratelimit-*`.
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    # HTTP requests that this answer took.
    requests: int = 1
    # The id in the answer as sent, if it is another than the one in `body`, which was asked for.
    given_id: str | None = None

    def then(self, last: Answer, body: bytes | None = None) -> Answer:
        """Returns this answer and a later one combined, with `body` if it is given."""
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
def count_requests(answer: Answer) -> Iterator[None]:
    """Adds the requests of an answer to a SourceError of the requests made after it."""
    try:
        yield
    except SourceError as error:
        error.requests += answer.requests
        raise


def select_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Returns the headers that an `Answer` keeps; names are in lower case."""
    return {
        name: value
        for name, value in headers.items()
        if name in _SELECTED_HEADERS or name.startswith("x-ratelimit-")
    }


def is_json(headers: Mapping[str, str]) -> bool:
    """True if the headers (lower case) say that the body is JSON."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    subtype = media_type.removeprefix("application/")
    return media_type != subtype and (subtype == "json" or subtype.endswith("+json"))


def requests_left(headers: Mapping[str, str]) -> float | None:
    """Returns the requests that the service still accepts (`x-ratelimit-remaining-requests`)."""
    text = headers.get("x-ratelimit-remaining-requests")
    left = None if text is None else _number(text)
    return None if left is None or left < 0 else left


def server_date(headers: Mapping[str, str]) -> datetime | None:
    """Returns the `Date` header (RFC 9110, 6.6.1), None if it is missing or not a date."""
    return _http_date(headers.get("date", ""))


def wait_hint(headers: Mapping[str, str], now: datetime) -> float | None:
    """Returns the wait in seconds that the headers (lower case) ask for, from 0 to an hour.

    Reads `openai-poll-after-ms`, then `retry-after-ms`, then `retry-after`, which is seconds or
    a date (RFC 9110, 10.2.3), or a duration such as `1m30s`. A date counts from the server's
    `Date`, else from `now`.
    """
    for name, unit in (
        ("openai-poll-after-ms", 1000),
        ("retry-after-ms", 1000),
        ("retry-after", 1),
    ):
        text = headers.get(name, "").strip()
        seconds = _wait(text, headers, now, unit)
        if seconds is not None:
            return _clamp(seconds)
        until = _http_date(text) if name == "retry-after" else None
        if until is not None:
            return _clamp((until - (server_date(headers) or now)).total_seconds())
    return None


def reset_hint(headers: Mapping[str, str], now: datetime) -> float | None:
    """Returns the seconds until the limits that are used up are reset (`x-ratelimit-reset-…`).

    For an answer that refuses a request; from 0 to an hour. A limit of which nothing is said to
    remain counts as used up.
    """
    waits = [
        _wait(headers.get(f"x-ratelimit-reset{kind}", "").strip(), headers, now)
        for kind in ("-requests", "-tokens", "")
        if _number(headers.get(f"x-ratelimit-remaining{kind}", "0")) in (0.0, None)
    ]
    longest = max((it for it in waits if it is not None), default=None)
    return None if longest is None else _clamp(longest)


def _wait(text: str, headers: Mapping[str, str], now: datetime, unit: float = 1) -> float | None:
    """Returns the seconds of a number of units, of a duration, or until a unix time."""
    number = _number(text)
    if number is None:
        return _duration(text)
    if unit == 1 and number > _LONGEST_SECONDS:
        moment = number / 1000 if number > _LONGEST_UNIX_SECONDS else number
        return moment - (server_date(headers) or now).timestamp()
    return number / unit


def _duration(text: str) -> float | None:
    parts = _DURATION_PART.findall(text)
    if not parts or _DURATION_PART.sub("", text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _clamp(seconds: float) -> float:
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
