"""Moments as whole microseconds since 1970: what is folded, compared and added up.

Numbers cost a tenth of what aware datetimes do, and their sums are exact.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

SECOND = 1_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY_SECONDS = 86_400


def micros(moment: datetime) -> int:
    """The microseconds from 1970 to an aware `moment`."""
    return (moment - _EPOCH) // _MICROSECOND


def micros_or_none(moment: datetime | None) -> int | None:
    """The same, of a moment that may not be known."""
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND


def moment_of(number: int | None) -> datetime | None:
    """The datetime in UTC that `micros` made a number of."""
    return None if number is None else _EPOCH + timedelta(microseconds=number)


def seconds(number: int | None) -> float | None:
    """A duration in seconds."""
    return None if number is None else number / SECOND


def utc_text(number: int | None) -> str | None:
    """The ISO text in UTC, without a zone: no fraction if it is zero, as SQLite keeps it."""
    if number is None:
        return None
    whole, fraction = divmod(number, SECOND)
    day, second = divmod(whole, _DAY_SECONDS)
    if fraction:
        return f"{_date(day)} {_clock(second)}.{fraction:06d}"
    return f"{_date(day)} {_clock(second)}"


def zoned_text(number: int | None) -> str | None:
    """The ISO text in UTC with its zone, which means the same in every session of PostgreSQL."""
    return None if number is None else f"{utc_text(number)}+00"


# Formatting a datetime costs more than folding it; there are few days, and few seconds in one.
@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).date().isoformat()


@lru_cache(maxsize=_DAY_SECONDS)
def _clock(second: int) -> str:
    minutes, seconds = divmod(second, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
