"""Parsing of timestamps, in any unit and spelling that services send, into aware times in UTC."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

from tracker.core.moments import is_plausible

# Seconds reach this in the year 5138; milliseconds passed it in 1973.
TOO_LARGE_FOR_SECONDS = 1e11
_TOO_LARGE_FOR_A_TIME = 1e20
_LONGEST_TEXT = 100
# The year 2000.
_FIRST_SECOND = 946_684_800

# The zero times of databases, Go, .NET and Unix, and the words for nothing.
_NO_TIME = re.compile(
    r"0000-|0001-01-01|1970-01-01|(mon|thu)\w*,? 01[ -]jan[ -](0001|1970|70)"
    r"|(null|none|nil|undefined|nat|n/a|never|false|-)$",
    re.IGNORECASE,
)
# A moment as Go writes it: with a space before its offset, the zone, and the monotonic clock.
_OF_GO = re.compile(
    r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?) ?([+-]\d\d:?\d\d|UTC|GMT)?"
    r"(?: (?:[A-Z]{1,5}|[+-]\d\d(?:\d\d)?))?(?: m=[+-][\d.]+)?"
)
_AT_24 = re.compile(r"(\d{4}-\d\d-\d\d[ T])24:00(:00(?:\.0+)?)?(?!\d)")
_LEAP_SECOND = re.compile(r"([ T]\d\d:\d\d:)60(?:\.\d+)?")
# Dates of HTTP, mail, C and JavaScript. The parser takes a zone that it does not know for UTC.
_IN_WORDS = re.compile(
    r"(?:[a-z]{3,9},? +)?(?:\d{1,2}[ -][a-z]{3}[a-z]*[ -](?:[12]\d{3}|\d\d) +"
    r"|[a-z]{3} +\d{1,2} +(?:[12]\d{3} +)?)"
    r"\d\d?:\d\d(?::\d\d)?(?: +[12]\d{3})?(?: +(?:UTC|UT|GMT|Z|[ECMP][SD]T|[+-]\d{4}))?",
    re.IGNORECASE,
)
_OF_JSON_DATE = re.compile(r"/Date\((-?\d+)(?:[+-]\d{4})?\)/")


def read_stamp(value: object) -> datetime | None:
    """Returns a timestamp as a time in UTC, None for anything that is none.

    Accepts unix seconds, and by their magnitude milliseconds, microseconds and nanoseconds, as
    numbers or digits; ISO 8601, in UTC unless it has an offset; dates as HTTP, mail, Go,
    JavaScript and .NET write them; objects with `seconds` and `nanos`, or `$date`; and datetimes.
    A moment before the year 2000 or after 2199 is none, however it is spelt.
    """
    if type(value) is int and _FIRST_SECOND <= value < TOO_LARGE_FOR_SECONDS:
        # The documented case is the usual one, and needs no parser.
        documented = datetime.fromtimestamp(value, UTC)
        return documented if is_plausible(documented) else None
    with suppress(ValueError, OverflowError, TypeError, IndexError):
        moment = _parse(value)
        if moment is None:
            return None
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return moment if is_plausible(moment) else None
    return None


def says_no_time(value: object) -> bool:
    """True if a value is a way to write that there is no time: zero, empty, or a zero time."""
    if isinstance(value, str):
        text = value.strip()
        return not text or bool(_NO_TIME.match(text)) or _is_at_most_zero(text)
    return not value or (isinstance(value, (int, float)) and value <= 0)


def _is_at_most_zero(text: str) -> bool:
    try:
        return float(text) <= 0
    except ValueError:
        return False


def _parse(value: object) -> datetime | None:
    """Returns the moment of a value. Raises what the parsers raise."""
    for _ in range(3):
        if not isinstance(value, Mapping):
            break
        value = _unwrap(value)
    if isinstance(value, str):
        value = _from_text(value.strip())
    if isinstance(value, datetime):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _from_number(value)
    return None


def _unwrap(value: Mapping[object, object]) -> object:
    """Returns the moment in an object as protobuf, Firestore and MongoDB write one."""
    for names in (("seconds", "nanos"), ("_seconds", "_nanoseconds"), ("seconds", "nanoseconds")):
        seconds, nanos = (value.get(name) for name in names)
        if seconds is not None:
            parts = float(str(seconds)), float(str(nanos or 0))
            return parts[0] + parts[1] / 1e9
    return value.get("$date") or value.get("$numberLong")


def _from_text(text: str) -> float | datetime | None:
    if len(text) > _LONGEST_TEXT:
        return None
    with suppress(ValueError):
        return float(text)
    if found := _OF_JSON_DATE.fullmatch(text):
        return float(found[1])
    text, days = _AT_24.subn(r"\g<1>00:00\2", text, count=1)
    text, seconds = _LEAP_SECOND.subn(r"\g<1>59", text, count=1)
    later = timedelta(days=days, seconds=seconds)
    with suppress(ValueError):
        return datetime.fromisoformat(text.upper()) + later
    if found := _OF_GO.fullmatch(text):
        offset = (found[2] or "").replace("UTC", "Z").replace("GMT", "Z")
        # A zone by its name alone may be any of several.
        return datetime.fromisoformat(found[1] + offset) + later if offset else None
    text = re.sub(r" *\([^()]*\)$", "", text)
    text = re.sub(r"(?:GMT|UTC)(?=[+-]\d{4}$)", "", text)
    return parsedate_to_datetime(text) + later if _IN_WORDS.fullmatch(text) else None


def _from_number(number: float) -> datetime | None:
    if not 0 < number < _TOO_LARGE_FOR_A_TIME:
        return None
    while number >= TOO_LARGE_FOR_SECONDS:
        number /= 1000
    return datetime.fromtimestamp(number, UTC)


def _unix_seconds(moment: datetime) -> int | float:
    seconds = moment.timestamp()
    return int(seconds) if seconds.is_integer() else seconds


Stamp = Annotated[
    datetime | None,
    BeforeValidator(read_stamp),
    PlainSerializer(_unix_seconds, when_used="json-unless-none"),
]
