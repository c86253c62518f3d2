"""Quarters of an hour, numbered from 1970, and the days of a time zone in terms of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from projections.folding.micros import HOUR, QUARTER, micros
from projections.queries.grouping import QUARTER_SECONDS

PER_HOUR = HOUR // QUARTER


class QuarterRange(NamedTuple):
    """The quarters between two moments; None where a side is not limited."""

    first: int | None
    # The quarter after the last one.
    end: int | None
    # The moments of the partial quarters before and after them: from, and before.
    edges: tuple[tuple[datetime, datetime], ...] = ()


class Day(NamedTuple):
    """A day of a time zone."""

    date: date
    # The first quarter, and the quarter after the last one.
    first: int
    end: int


def whole_quarters(since: datetime | None, until: datetime | None) -> QuarterRange:
    """Returns the whole quarters between two moments, and the partial ones at both ends."""
    first = None if since is None else -(-micros(since) // QUARTER)
    end = None if until is None else micros(until) // QUARTER
    if since is not None and until is not None and first is not None and end is not None:
        if since >= until:
            return QuarterRange(first, first)
        if first > end:
            return QuarterRange(first, first, ((since, until),))
    edges = []
    if since is not None and first is not None and quarter_start(first) > since:
        edges.append((since, quarter_start(first)))
    if until is not None and end is not None and quarter_start(end) < until:
        edges.append((quarter_start(end), until))
    return QuarterRange(first, end, tuple(edges))


def quarter_start(quarter: int) -> datetime:
    """Returns the moment at which a quarter begins."""
    return datetime.fromtimestamp(quarter * QUARTER_SECONDS, UTC)


def split_quarter(quarter: int) -> tuple[datetime, int]:
    """Returns the hour in UTC that contains a quarter, and its number in that hour, from 0."""
    return quarter_start(quarter - quarter % PER_HOUR), quarter % PER_HOUR


def local_days(first: int, end: int, zone: ZoneInfo) -> Iterator[Day]:
    """Yields the days of a zone that contain the quarters from `first` on and before `end`."""
    if first >= end:
        return
    day = quarter_start(first).astimezone(zone).date()
    begin = _midnight(day, zone)
    while begin < end:
        following = day + timedelta(days=1)
        after = _midnight(following, zone)
        # A zone that crossed the date line skipped a day.
        if after > begin:
            yield Day(day, begin, after)
        day, begin = following, after


def _midnight(day: date, zone: ZoneInfo) -> int:
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    return micros(midnight) // QUARTER
