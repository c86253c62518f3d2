"""The range of a page, and the bars that a chart of it has."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from projections.queries.grouping import DAY, HOUR
from projections.web.local_time import (
    LocalTime,
    format_day,
    format_month,
    format_month_day,
    format_weekday,
)

WEEK, MONTH, YEAR = "week", "month", "year"
RANGES = {"24h": "24 h", "7d": "7 days", "28d": "28 days", "all": "All"}
DEFAULT_RANGE = "7d"
MOST_BARS = 60


class Bar(NamedTuple):
    """One bar of a chart by time."""

    # The date or, of an hour, the moment in UTC at which it begins.
    start: date
    # Below the axis, and in full.
    label: str
    title: str


class TimeRange(NamedTuple):
    """The moments between which the runs of a page began, and the unit of its charts."""

    # As it was asked for.
    name: str
    # None for all runs.
    since: datetime | None
    until: datetime
    # True if `until` was given, and is not just now.
    is_closed: bool
    # The moment from which on charts have bars.
    first: datetime
    # The unit of the bars: hour, day, week, month or year.
    unit: str

    @property
    def limit(self) -> datetime | None:
        """Returns the limit of queries: None for a range that goes on."""
        return self.until if self.is_closed else None

    @property
    def by(self) -> str:
        """Returns the name that queries are grouped by."""
        return HOUR if self.unit == HOUR else DAY

    @property
    def title(self) -> str:
        """Returns the range in words."""
        if self.name == "24h":
            return "Last 24 hours"
        if self.name.endswith("d") and self.name[:-1].isdigit() and not self.is_closed:
            return f"Last {self.name[:-1]} days" if self.name != "1d" else "Today"
        return "All runs" if self.since is None else "Runs of a while"

    def bar_of(self, group: Mapping[str, object], local: LocalTime) -> date:
        """Returns the start of the bar that a group of a query belongs to."""
        value = group[self.by]
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        assert isinstance(value, date)
        return _start_of(value, self.unit)

    def bars(self, local: LocalTime) -> list[Bar]:
        """Returns the bars of the range in their order, the newest if there are too many."""
        if self.unit == HOUR:
            bars: list[Bar] = []
            moment = _hour_of(self.first, local)
            while moment < self.until or not bars:
                at = local.localize(moment)
                title = f"{format_day(at.date())}, {at:%H:%M}"
                bars.append(Bar(moment, f"{at:%H:%M}", title))
                moment += timedelta(hours=1)
            return bars[-MOST_BARS:]
        last = local.localize(self.until - timedelta(microseconds=1)).date()
        day, bars = _start_of(local.localize(self.first).date(), self.unit), []
        while day <= last or not bars:
            bars.append(_make_bar(day, self.unit, self.since))
            try:
                day = _next(day, self.unit)
            except (OverflowError, ValueError):
                break
        return bars[-MOST_BARS:]


def choose_range(
    name: str, until: str | None, local: LocalTime, oldest: datetime | None
) -> TimeRange:
    """Returns the range that was asked for; `oldest` is the creation of the first of all runs.

    Raises SettingsError for a limit that is no time.
    """
    end = local.parse(until) if until else None
    last = end or local.now
    if name == "24h" and end is None:
        since: datetime | None = _hour_of(last, local) - timedelta(hours=23)
    else:
        since = local.parse(name)
    first = since or min(oldest or last, last)
    days = (last - first).total_seconds() / 86_400
    unit = YEAR
    for longest, found in ((1.6, HOUR), (60, DAY), (370, WEEK), (30.4 * MOST_BARS, MONTH)):
        if days <= longest:
            unit = found
            break
    return TimeRange(name, since, last, end is not None, first, unit)


def _hour_of(moment: datetime, local: LocalTime) -> datetime:
    at = local.localize(moment)
    return moment - timedelta(minutes=at.minute, seconds=at.second, microseconds=at.microsecond)


def _start_of(day: date, unit: str) -> date:
    if unit == WEEK:
        return day - timedelta(days=min(day.weekday(), day.toordinal() - 1))
    if unit == MONTH:
        return day.replace(day=1)
    return day.replace(day=1, month=1) if unit == YEAR else day


def _next(day: date, unit: str) -> date:
    if unit == DAY:
        return day + timedelta(days=1)
    if unit == WEEK:
        return day + timedelta(days=7)
    if unit == MONTH:
        return (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return day.replace(year=day.year + 1)


def _make_bar(day: date, unit: str, since: datetime | None) -> Bar:
    if unit == DAY:
        return Bar(day, format_weekday(day), format_day(day))
    if unit == WEEK:
        return Bar(day, format_month_day(day), f"Week of {format_day(day)}")
    if unit == MONTH:
        return Bar(day, format_month(day), format_month(day))
    return Bar(day, str(day.year), str(day.year))
