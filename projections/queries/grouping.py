"""The names that answers are grouped by, local days and hours, and limits of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import BigInteger, ColumnElement, Select, cast, extract, func, literal_column

from projections.database.engine import JSON_MEMBER
from projections.database.schema import runs
from projections.folding.json_text import plain_text
from projections.folding.micros import QUARTER, SECOND, micros, moment_of
from projections.queries.filters import Filters
from projections.queries.limits import check_limit
from tracker.errors import SettingsError

DAY, HOUR = "day", "hour"
TIMES = frozenset((DAY, HOUR))
# The rollups are grouped by these.
DIMENSIONS = ("source", "assistant_id", "model")
OUTCOME, STATUS = "outcome", "status"
COLUMNS = (*DIMENSIONS, OUTCOME, STATUS, "thread_id", "subagent_id", "service_tier")
METADATA = "metadata."

_QUARTER_SECONDS = QUARTER // SECOND
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
# Added before a division, which databases round towards zero.
_QUARTERS_BEFORE_1970 = -micros(_FIRST) // QUARTER

By = str | Sequence[str] | None
# A group, and the values that count for it; a group may come in several parts.
GroupValues = tuple[dict[str, object], Sequence[Any]]
_Query = TypeVar("_Query", bound=Select[Any])


class Grouping(NamedTuple):
    """The groups of a question, and the limits of the runs that count for it."""

    names: tuple[str, ...]
    since: datetime | None
    until: datetime | None
    # Days and hours are those of this zone.
    zone: ZoneInfo
    filters: Filters = Filters()
    # Only so many of the newest runs count; None for all.
    newest: int | None = None


def parse_grouping(
    by: By,
    since: datetime | None,
    until: datetime | None,
    tz: str,
    filters: Filters = Filters(),  # noqa: B008
    newest: int | None = None,
) -> Grouping:
    """Returns the grouping of a question.

    Raises SettingsError for a name that cannot be grouped by, a limit without a time zone, and an
    unknown time zone.
    """
    check_limits(since, until)
    names, zone = group_names(by), time_zone(tz)
    return Grouping(names, since, until, zone, filters, check_limit(newest))


def group_names(by: By) -> tuple[str, ...]:
    """Returns the names in `by`. Raises SettingsError for one that cannot be grouped by."""
    names = (by,) if isinstance(by, str) else tuple(by or ())
    for name in names:
        if name in COLUMNS or name in TIMES or (name.startswith(METADATA) and name != METADATA):
            continue
        known = ", ".join((*COLUMNS, DAY, HOUR, f"{METADATA}KEY"))
        raise SettingsError(f"{name!r} is not something to group by: {known}")
    return tuple(dict.fromkeys(names))


def time_zone(name: str) -> ZoneInfo:
    """Returns the zone of an IANA name. Raises SettingsError for an unknown one."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingsError(
            f"no time zone {name!r}: use a name like Europe/Berlin or UTC "
            "(on Windows: pip install tzdata)"
        ) from None


def group_column(name: str, dialect: str, columns: Any = runs.c) -> ColumnElement[Any]:
    """Returns the expression over columns of `runs` for a name that is not a time."""
    if not name.startswith(METADATA):
        column: ColumnElement[Any] = columns[name]
        return column
    # As the tables have it.
    key = plain_text(name.removeprefix(METADATA)) or ""
    if dialect == "sqlite":
        # With two paths the result is a list, which keeps the JSON type of the value.
        path = f'$."{key}"'
        if any(it in '"\\' or it < " " for it in key):
            # A path of SQLite compares such keys as they are escaped, or cannot name them.
            member: ColumnElement[Any] = getattr(func, JSON_MEMBER)(columns.metadata, key)
            return member
        return func.json_extract(columns.metadata, path, path)
    return func.jsonb_build_array(columns.metadata[key])


def quarter_column(dialect: str) -> ColumnElement[int]:
    """Returns the expression for the whole quarters of an hour from 1970 to a run's creation."""
    if dialect == "sqlite":
        # Without the fraction, which SQLite would round to milliseconds.
        seconds = func.strftime("%s", func.substr(runs.c.created_at, 1, 19))
    else:
        seconds = func.floor(extract("epoch", runs.c.created_at))
    since_year_1 = cast(seconds, BigInteger) + _QUARTERS_BEFORE_1970 * _QUARTER_SECONDS
    return since_year_1 // _QUARTER_SECONDS - _QUARTERS_BEFORE_1970


def local_times(names: Iterable[str], quarter: int, zone: ZoneInfo) -> dict[str, object]:
    """Returns the local day (a date) and hour (its aware start) that contain a quarter."""
    moment = quarter_start(quarter)
    local = in_zone(moment, zone)
    times: dict[str, object] = {}
    if DAY in names:
        times[DAY] = local.date()
    if HOUR in names:
        # Subtracted in UTC: when clocks go back, two hours have the same local name.
        into_hour = timedelta(minutes=local.minute, seconds=local.second)
        # Hours of zones with seconds, as before 1900, may begin before the year 1.
        start = moment - min(into_hour, moment - _FIRST)
        # Where clocks change within an hour, by half of one, it begins with the change.
        while in_zone(start, zone).utcoffset() != local.utcoffset():
            start = min(start + timedelta(seconds=_QUARTER_SECONDS), moment)
        times[HOUR] = start
    return times


def quarter_start(quarter: int) -> datetime:
    """Returns the moment at which a quarter begins, at most the last of the year 9999."""
    try:
        moment = moment_of(quarter * QUARTER)
    except OverflowError:
        return _LAST
    assert moment is not None
    return moment


def in_zone(moment: datetime, zone: ZoneInfo) -> datetime:
    """Returns a moment in a zone; in UTC where it would leave the years 1 to 9999."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment


def localize_hour(group: Mapping[str, object], zone: ZoneInfo) -> Mapping[str, object]:
    """Returns the group with its hour in the local time of a zone."""
    start = group.get(HOUR)
    return {**group, HOUR: in_zone(start, zone)} if isinstance(start, datetime) else group


def check_limits(since: datetime | None, until: datetime | None) -> None:
    """Raises SettingsError for a limit without a time zone."""
    for name, moment in (("since", since), ("until", until)):
        if moment is not None and moment.utcoffset() is None:
            raise SettingsError(f"{name} needs a time zone: {moment.isoformat()} has none")


def created_between(query: _Query, since: datetime | None, until: datetime | None) -> _Query:
    """Limits a query to runs created from `since` on and before `until`; None is no limit."""
    return query.where(*created_conditions(since, until))


def open_between(
    query: _Query, since: datetime | None, until: datetime | None, dialect: str
) -> _Query:
    """Limits a query to open runs created between two moments; they are found by their index."""
    query = query.where(runs.c.outcome.is_(None))
    if dialect == "sqlite":
        # It would prefer the index of creations, which leads to all runs of the time.
        created = literal_column("+runs.created_at", runs.c.created_at.type)
        return query.where(*created_conditions(since, until, SimpleNamespace(created_at=created)))
    return query.where(*created_conditions(since, until))


def created_conditions(
    since: datetime | None, until: datetime | None, columns: Any = runs.c
) -> list[ColumnElement[bool]]:
    """Returns the conditions of the same limits. Raises SettingsError as `check_limits` does."""
    check_limits(since, until)
    conditions = []
    if since is not None:
        conditions.append(columns.created_at >= since)
    if until is not None:
        conditions.append(columns.created_at < until)
    return conditions


def sort_key(group: Mapping[str, Any]) -> tuple[tuple[bool, Any], ...]:
    """Returns the key that orders groups by their values, None last."""
    return tuple((value is None, "" if value is None else value) for value in group.values())
