"""Times as whole microseconds since 1970, as folds compare and add them.

Integers cost a tenth of aware datetimes, and their sums are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from pydantic import TypeAdapter

SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
# All time zones have been whole quarters of an hour away from UTC since 1972.
QUARTER = HOUR // 4

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# With the zone of events that were read: two times of one zone are subtracted in a third of the
# time that it takes to ask zones for their offsets.
_READ_EPOCH = TypeAdapter(datetime).validate_json('"1970-01-01T00:00:00Z"')
_READ_UTC = _READ_EPOCH.tzinfo
_MICROSECOND = timedelta(microseconds=1)
_DAY_SECONDS = 86_400


def micros(moment: datetime) -> int:
    """Returns the microseconds from 1970 to an aware `moment`."""
    epoch = _READ_EPOCH if moment.tzinfo is _READ_UTC else _EPOCH
    return (moment - epoch) // _MICROSECOND


def micros_or_none(moment: datetime | None) -> int | None:
    """Returns the microseconds from 1970 to `moment`, or None for None."""
    return None if moment is None else micros(moment)


def moment_of(number: int | None) -> datetime | None:
    """Returns the datetime in UTC of a number of microseconds."""
    return None if number is None else to_moment(number)


def to_moment(number: int) -> datetime:
    """Returns the datetime in UTC of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=number)


def seconds(number: int | None) -> float | None:
    """Returns a duration of microseconds in seconds."""
    return None if number is None else number / SECOND


def utc_text(number: int | None) -> str | None:
    """Returns the ISO text in UTC as SQLite stores it: no zone, and six digits of a second."""
    if number is None:
        return None
    whole, fraction = divmod(number, SECOND)
    day, second = divmod(whole, _DAY_SECONDS)
    return f"{_date(day)} {_clock(second)}.{fraction:06d}"


def zoned_text(number: int | None) -> str | None:
    """Returns the ISO text with its zone, which is the same in every session of PostgreSQL."""
    return None if number is None else f"{utc_text(number)}+00"


def text_format(dialect: str) -> Callable[[int | None], str | None]:
    """Returns the function that writes a time as text for a database."""
    return utc_text if dialect == "sqlite" else zoned_text


# Formatting a datetime costs more than folding it; there are few days, and few seconds in one.
@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).date().isoformat()


@lru_cache(maxsize=_DAY_SECONDS)
def _clock(second: int) -> str:
    minutes, seconds = divmod(second, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
