"""What answers are grouped by: the names allowed, days and hours in a time zone, and the order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import ColumnElement, Integer, Select, cast, extract, func

from projections.database.schema import runs
from tracker.errors import SettingsError

DAY, HOUR = "day", "hour"
TIMES = frozenset((DAY, HOUR))
# What the rollups are grouped by too.
KIND = ("source", "assistant_id", "model")
COLUMNS = (*KIND, "outcome", "status", "thread_id")
METADATA = "metadata."

QUARTER_SECONDS = 900

By = str | Sequence[str] | None
_Query = TypeVar("_Query", bound=Select[Any])


def group_names(by: By) -> tuple[str, ...]:
    """What `by` names. Raises SettingsError for something that cannot be grouped by."""
    names = (by,) if isinstance(by, str) else tuple(by or ())
    for name in names:
        if name in COLUMNS or name in TIMES or (name.startswith(METADATA) and name != METADATA):
            continue
        known = ", ".join((*COLUMNS, DAY, HOUR, f"{METADATA}KEY"))
        raise SettingsError(f"{name!r} is not something to group by: {known}")
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


def column(name: str, dialect: str) -> ColumnElement[Any]:
    """A name of a run's own, not a time, as a column of the table `runs`."""
    if not name.startswith(METADATA):
        return runs.c[name]
    key = name.removeprefix(METADATA)
    if dialect == "sqlite":
        # Two paths give a list, in which each value is JSON of its own kind.
        path = f'$."{key}"'
        return func.json_extract(runs.c.metadata, path, path)
    return func.jsonb_build_array(runs.c.metadata[key])


def quarter_hour(dialect: str) -> ColumnElement[int]:
    """The number of whole quarters of an hour from 1970 to the creation of a run, in SQL."""
    if dialect == "sqlite":
        return cast(func.strftime("%s", runs.c.created_at), Integer) // QUARTER_SECONDS
    return cast(func.floor(extract("epoch", runs.c.created_at)), Integer) // QUARTER_SECONDS


def local_times(names: Iterable[str], quarter: int, zone: ZoneInfo) -> dict[str, object]:
    """The day (a date) and hour (its start, aware) that a quarter of an hour is in."""
    moment = datetime.fromtimestamp(quarter * QUARTER_SECONDS, UTC)
    local = moment.astimezone(zone)
    times: dict[str, object] = {}
    if DAY in names:
        times[DAY] = local.date()
    if HOUR in names:
        # Counted back in UTC: where clocks go back, two hours have the same name.
        times[HOUR] = moment - timedelta(minutes=local.minute)
    return times


def checked_limits(since: datetime | None, until: datetime | None) -> None:
    """Raises SettingsError for a limit without a time zone."""
    for name, moment in (("since", since), ("until", until)):
        if moment is not None and moment.utcoffset() is None:
            raise SettingsError(f"{name} needs a time zone: {moment.isoformat()} has none")


def created_between(query: _Query, since: datetime | None, until: datetime | None) -> _Query:
    """The runs created from `since` on and before `until`; None does not limit."""
    checked_limits(since, until)
    if since is not None:
        query = query.where(runs.c.created_at >= since)
    if until is not None:
        query = query.where(runs.c.created_at < until)
    return query


def sort_key(group: Mapping[str, Any]) -> tuple[tuple[bool, Any], ...]:
    """Orders groups by their values, in the order of the names, None last."""
    return tuple((value is None, "" if value is None else value) for value in group.values())
