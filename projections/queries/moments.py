"""The moments that people name: `1h`, `7d`, `today`, a date or a time."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from projections.queries.grouping import in_zone
from tracker.errors import SettingsError

_AGO = re.compile(r"(\d{1,6})\s*(s|min|m|h|d|w)")
_SPANS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(days=7),
}


def find_midnight(day: date, zone: ZoneInfo) -> datetime:
    """Returns the first moment of a day of a zone, in UTC."""
    # Where clocks skip midnight, the day begins after the gap.
    return datetime.combine(day, time(), zone).astimezone(UTC)


def parse_moment(text: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    """Returns the moment of `1h`, `7d`, `today`, a date or a moment; None for `all`.

    Days are those of the zone, today included: `7d` begins with the midnight six days ago.
    Raises SettingsError for anything else.
    """
    given = text.strip()
    lowered = given.lower()
    if lowered == "all":
        return None
    try:
        today = in_zone(now, zone).date()
        if lowered in ("today", "yesterday"):
            return find_midnight(today - timedelta(days=lowered == "yesterday"), zone)
        if ago := _AGO.fullmatch(lowered):
            number, unit = int(ago[1]), ago[2]
            if unit in "dw":
                return find_midnight(today - number * _SPANS[unit] + timedelta(days=1), zone)
            return now - number * _SPANS[unit]
        moment = datetime.fromisoformat(given)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise SettingsError(
            f"{text!r} is no time: use 1h, 7d, today, yesterday, a date such as 2026-01-31, "
            "a moment such as 2026-01-31T16:42, or all"
        ) from None
