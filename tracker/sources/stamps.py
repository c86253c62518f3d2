"""Parsing of timestamps, in any unit that services send, into aware times in UTC."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

# Seconds reach this in the year 5138; milliseconds passed it in 1973.
TOO_LARGE_FOR_SECONDS = 1e11
_TOO_LARGE_FOR_A_TIME = 1e20


def read_stamp(value: object) -> datetime | None:
    """Returns a timestamp as a time in UTC, None if the service sent none.

    Accepts unix seconds, and by their magnitude milliseconds, microseconds and nanoseconds, as
    numbers or digits; ISO 8601, in UTC unless it has an offset; and datetimes. Zero, a negative
    number and an empty text mean that there is none, as some services send them. Raises
    ValueError for anything else.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        value = _from_text(value)
    if isinstance(value, datetime):
        return _in_utc(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"expected unix seconds, got {type(value).__name__}")
    return _from_number(value)


def _from_text(text: str) -> float | datetime:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("expected unix seconds, got a text that is no time") from None


def _from_number(number: float) -> datetime | None:
    if number > _TOO_LARGE_FOR_A_TIME or math.isnan(number):
        raise ValueError("expected unix seconds, got a number that is no time")
    if number <= 0:
        return None
    while number >= TOO_LARGE_FOR_SECONDS:
        number /= 1000
    return datetime.fromtimestamp(number, UTC)


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("expected a time, got one outside the years 1 to 9999") from None


def _unix_seconds(moment: datetime) -> int | float:
    seconds = moment.timestamp()
    return int(seconds) if seconds.is_integer() else seconds


Stamp = Annotated[
    datetime | None,
    BeforeValidator(read_stamp),
    PlainSerializer(_unix_seconds, when_used="json-unless-none"),
]
