"""What answers are grouped by: the names allowed, days and hours in a time zone, and the order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import ColumnElement, Integer, Select, cast, extract, func

from projections.schema import runs
from tracker.errors import SettingsError

COLUMNS = ("source", "thread_id", "assistant_id", "model", "status", "outcome")
DAY, HOUR = "day", "hour"

# All zones have been whole quarters of an hour away from UTC since 1972.
_QUARTER_SECONDS = 900

By = str | Sequence[str] | None
_Query = TypeVar("_Query", bound=Select[Any])


def group_names(by: By, also: Sequence[str] = ()) -> tuple[str, ...]:
    """The columns that `by` names. Raises SettingsError for one that cannot be grouped by."""
    names = (by,) if isinstance(by, str) else tuple(by or ())
    allowed = (*COLUMNS, *also)
    for name in names:
        if name not in allowed:
            raise SettingsError(f"{name!r} is not something to group by: {', '.join(allowed)}")
    return tuple(dict.fromkeys(names))


def time_zone(name: str) -> ZoneInfo:
    """The zone of an IANA name. Raises SettingsError where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingsError(
            f"no time zone {name!r}: use a name like Europe/Berlin or UTC "
            "(on Windows: pip install tzdata)"
        ) from None


def quarter_hour(dialect: str) -> ColumnElement[int]:
    """The number of whole quarters of an hour from 1970 to the creation of a run, in SQL."""
    if dialect == "sqlite":
        return cast(func.strftime("%s", runs.c.created_at), Integer) // _QUARTER_SECONDS
    return cast(func.floor(extract("epoch", runs.c.created_at)), Integer) // _QUARTER_SECONDS


def local_times(names: Iterable[str], quarter: int, zone: ZoneInfo) -> dict[str, object]:
    """The day (a date) and hour (its start, in UTC) that a quarter of an hour is in."""
    moment = datetime.fromtimestamp(quarter * _QUARTER_SECONDS, UTC)
    local = moment.astimezone(zone)
    times: dict[str, object] = {}
    if DAY in names:
        times[DAY] = local.date()
    if HOUR in names:
        # Counted back in UTC: where clocks go back, two hours have the same name.
        times[HOUR] = moment - timedelta(minutes=local.minute)
    return times


def created_between(query: _Query, since: datetime | None, until: datetime | None) -> _Query:
    """The runs created from `since` on and before `until`; None does not limit."""
    for name, moment in (("since", since), ("until", until)):
        if moment is not None and moment.utcoffset() is None:
            raise SettingsError(f"{name} needs a time zone: {moment.isoformat()} has none")
    if since is not None:
        query = query.where(runs.c.created_at >= since)
    if until is not None:
        query = query.where(runs.c.created_at < until)
    return query


def sort_key(group: Mapping[str, Any]) -> tuple[tuple[bool, Any], ...]:
    """Orders groups by their values, in the order of the names, None last."""
    return tuple((value is None, "" if value is None else value) for value in group.values())
