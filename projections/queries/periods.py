"""Quarters of an hour, and the days of a time zone as numbers of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from projections.folding.micros import SECOND, micros
from projections.queries.grouping import QUARTER_SECONDS

_QUARTER = QUARTER_SECONDS * SECOND
PER_HOUR = 4


class Span(NamedTuple):
    """Whole quarters from `first` on and before `end`, counted from 1970; None does not limit.

    `edges` are the parts of quarters before and after them, as moments.
    """

    first: int | None
    end: int | None
    edges: tuple[tuple[datetime, datetime], ...] = ()


class Day(NamedTuple):
    """A day of a time zone: from the quarter `first` on, and before `end`."""

    date: date
    first: int
    end: int


def span(since: datetime | None, until: datetime | None) -> Span:
    """The quarters that lie whole between two moments, and what is left at both ends."""
    first = None if since is None else -(-micros(since) // _QUARTER)
    end = None if until is None else micros(until) // _QUARTER
    if since is not None and until is not None and first is not None and end is not None:
        if since >= until:
            return Span(first, first)
        if first > end:
            return Span(first, first, ((since, until),))
    edges = []
    if since is not None and first is not None and start_of(first) > since:
        edges.append((since, start_of(first)))
    if until is not None and end is not None and start_of(end) < until:
        edges.append((start_of(end), until))
    return Span(first, end, tuple(edges))


def start_of(quarter: int) -> datetime:
    """When a quarter begins."""
    return datetime.fromtimestamp(quarter * QUARTER_SECONDS, UTC)


def hour_of(quarter: int) -> tuple[datetime, int]:
    """The hour in UTC that a quarter is in, and which of its quarters it is, from 0."""
    return start_of(quarter - quarter % PER_HOUR), quarter % PER_HOUR


def days(first: int, end: int, zone: ZoneInfo) -> Iterator[Day]:
    """The days of a zone that the quarters from `first` on and before `end` are in."""
    if first >= end:
        return
    day = start_of(first).astimezone(zone).date()
    begin = _midnight(day, zone)
    while begin < end:
        following = day + timedelta(days=1)
        after = _midnight(following, zone)
        # Where a zone crossed the date line, a day was left out.
        if after > begin:
            yield Day(day, begin, after)
        day, begin = following, after


def _midnight(day: date, zone: ZoneInfo) -> int:
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    return micros(midnight) // _QUARTER
