"""Moments in the time zone of a page."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from projections.queries.grouping import in_zone
from projections.queries.moments import find_midnight, parse_moment

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


class LocalTime:
    """Writes and reads moments in one time zone, at one moment that is now."""

    def __init__(self, zone: ZoneInfo, now: datetime) -> None:
        self.zone, self.now = zone, now
        self._today = in_zone(now, zone).date()

    @property
    def name(self) -> str:
        """Returns the name of the zone."""
        return self.zone.key

    def localize(self, moment: datetime) -> datetime:
        """Returns a moment in the zone."""
        return in_zone(moment, self.zone)

    def format_full(self, moment: datetime) -> str:
        """Returns `Thu 26 Nov 2026, 16:42:10 CET`."""
        local = self.localize(moment)
        return f"{format_day(local.date())} {local.year}, {local:%H:%M:%S} {_zone_name(local)}"

    def format_minute(self, moment: datetime) -> str:
        """Returns `Thu 26 Nov 16:42`, with the year if it is another than this one."""
        local = self.localize(moment)
        return f"{format_day(local.date())}{self._year(local.date())} {local:%H:%M}"

    def format_short(self, moment: datetime) -> str:
        """Returns `26 Nov 16:42`, for tables, with the year if it is another than this one."""
        local = self.localize(moment)
        return f"{local.day} {_month(local)}{self._year(local.date())} {local:%H:%M}"

    def format_clock(self, moment: datetime, near: datetime, *, is_fine: bool = False) -> str:
        """Returns the time of day, with the date unless it is that of another moment."""
        local = self.localize(moment)
        clock = f"{local:%H:%M:%S}"
        if is_fine:
            clock += f".{local.microsecond // 100_000}"
        if local.date() == self.localize(near).date():
            return clock
        return f"{local.day} {_month(local)}{self._year(local.date())} {clock}"

    def format_zone(self, moment: datetime) -> str:
        """Returns the short name of the zone at a moment: `CET`."""
        return _zone_name(self.localize(moment))

    def format_iso(self, moment: datetime) -> str:
        """Returns a moment with its offset, as `<time datetime>` has it."""
        return self.localize(moment).isoformat()

    def midnight(self, day: date) -> datetime:
        """Returns the first moment of a day of the zone, in UTC."""
        return find_midnight(day, self.zone)

    def parse(self, text: str) -> datetime | None:
        """Returns the moment of `1h`, `7d`, `today`, a date or a moment; None for `all`.

        Raises SettingsError for anything else.
        """
        return parse_moment(text, self.zone, self.now)

    def _year(self, day: date) -> str:
        return "" if day.year == self._today.year else f" {day.year}"


def format_day(day: date) -> str:
    """Returns `Thu 26 Nov`."""
    return f"{_DAYS[day.weekday()]} {day.day} {_month(day)}"


def format_month(day: date) -> str:
    """Returns `Nov 2026`."""
    return f"{_month(day)} {day.year}"


def format_weekday(day: date) -> str:
    """Returns `Thu 26`."""
    return f"{_DAYS[day.weekday()]} {day.day}"


def format_month_day(day: date) -> str:
    """Returns `26 Nov`."""
    return f"{day.day} {_month(day)}"


def _month(day: date) -> str:
    return _MONTHS[day.month - 1]


def _zone_name(local: datetime) -> str:
    name = local.tzname() or ""
    return name if name[:1].isalpha() else f"UTC{name}"
