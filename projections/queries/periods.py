"""Quarters of an hour, numbered from 1970, and the days of a time zone in terms of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from projections.folding.micros import HOUR, QUARTER, micros
from projections.queries.grouping import in_zone, quarter_start

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
    # Its first and its last quarter.
    first: int
    last: int


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


def split_quarter(quarter: int) -> tuple[datetime, int]:
    """Returns the hour in UTC that contains a quarter, and its number in that hour, from 0."""
    return quarter_start(quarter - quarter % PER_HOUR), quarter % PER_HOUR


def local_days(spans: Iterable[tuple[int, int]], zone: ZoneInfo) -> list[Day]:
    """Returns the days of a zone that contain any of the spans, in order and each once.

    A span is a first and a last quarter. The spans are in order, and far shorter than the time
    between the first and the last may be.
    """
    days: list[Day] = []
    for first, last in spans:
        day = in_zone(quarter_start(first), zone).date()
        begin = first
        while begin <= last:
            end = _end(day, zone)
            # A zone that crossed the date line skipped a day.
            if end is None or end > begin:
                until = last if end is None else min(last, end - 1)
                if days and days[-1].date == day:
                    days[-1] = days[-1]._replace(last=until)
                else:
                    days.append(Day(day, begin, until))
                begin = until + 1
            if end is not None:
                day += timedelta(days=1)
    return days


def _end(day: date, zone: ZoneInfo) -> int | None:
    """Returns the quarter with which the next day of a zone begins; None after the last day."""
    if day == date.max:
        return None
    following = day + timedelta(days=1)
    midnight = datetime(following.year, following.month, following.day, tzinfo=zone)
    # Rounded up: a quarter belongs to the day in which it begins.
    return -(-micros(midnight) // QUARTER)
