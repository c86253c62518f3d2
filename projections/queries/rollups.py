"""Sums over the rollups by group, day and hour, independent of the number of runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnClause,
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    Table,
    and_,
    func,
    literal,
    select,
    text,
    tuple_,
)
from sqlalchemy import column as sql_column
from sqlalchemy.types import TypeEngine

from projections.database.schema import UtcDateTime, runs
from projections.folding.micros import DAY as DAY_MICROS
from projections.folding.micros import QUARTER, micros, text_format
from projections.queries.filters import Filters, filter_conditions, match_values
from projections.queries.grouping import (
    DAY,
    HOUR,
    OUTCOME,
    STATUS,
    TIMES,
    Grouping,
    GroupValues,
    created_conditions,
    local_times,
)
from projections.queries.periods import PER_HOUR, Day, QuarterRange, local_days, split_quarter


class Rollup(NamedTuple):
    """A rollup: one table by hour, and one over all time."""

    hourly: Table
    totals: Table
    # Key columns that are returned beside the group, in front of the sums.
    details: tuple[str, ...]
    sums: tuple[str, ...]

    def can_answer(self, grouping: Grouping) -> bool:
        """True if it can be grouped by the names of a question, and has what its filters need."""
        if grouping.filters.metadata or grouping.newest is not None:
            return False
        names = (*grouping.names, *grouping.filters.columns)
        return all(name in TIMES or _column_of(name) in self.totals.c for name in names)


def sum_rollup(
    connection: Connection,
    rollup: Rollup,
    grouping: Grouping,
    quarters: QuarterRange,
) -> Iterator[GroupValues]:
    """Yields details and sums of each group over whole quarters of an hour, in parts."""
    names = grouping.names
    stored = [name for name in names if name not in TIMES]
    is_limited = quarters.first is not None or quarters.end is not None
    if not is_limited and len(stored) == len(names):
        yield from _sum_groups(
            connection, rollup, rollup.totals, names, stored, select(), grouping.filters
        )
    elif HOUR in names:
        hourly = rollup.hourly
        query = _limit(hourly, select(hourly.c.hour, hourly.c.quarter), quarters)
        query = query.group_by(hourly.c.hour, hourly.c.quarter)

        # Many rows are of one quarter.
        @cache
        def times_at(quarter: int) -> dict[str, object]:
            return local_times(names, quarter, grouping.zone)

        def times_of(row: Row[Any]) -> dict[str, object]:
            return times_at(micros(row.hour) // QUARTER + row.quarter)

        yield from _sum_groups(
            connection, rollup, hourly, names, stored, query, grouping.filters, times_of
        )
    elif DAY in names:
        yield from _sum_days(connection, rollup, grouping, stored, quarters)
    else:
        query = _limit(rollup.hourly, select(), quarters)
        yield from _sum_groups(
            connection, rollup, rollup.hourly, names, stored, query, grouping.filters
        )


def read_edge_runs(
    connection: Connection, quarters: QuarterRange, filters: Filters
) -> Iterator[Row[Any]]:
    """Yields the rows of ended runs created in the partial quarters at both ends.

    They are read one by one, so that limits are exact to the microsecond.
    """
    for since, until in quarters.edges:
        yield from connection.execute(select_ended(select(runs), since, until, filters))


def select_ended(
    query: Select[Any], since: datetime, until: datetime, filters: Filters
) -> Select[Any]:
    """Limits a query to ended runs that match and were created from `since` on, before `until`."""
    conditions = [*created_conditions(since, until), *filter_conditions(filters, runs.c)]
    return query.where(runs.c.outcome.is_not(None), *conditions)


def _column_of(name: str) -> str:
    """Returns the column of a rollup for a name: the status of an ended run is its outcome."""
    return OUTCOME if name == STATUS else name


def _sum_days(
    connection: Connection,
    rollup: Rollup,
    grouping: Grouping,
    stored: Sequence[str],
    quarters: QuarterRange,
) -> Iterator[GroupValues]:
    hourly = rollup.hourly
    days = local_days(_read_spans(connection, hourly, quarters), grouping.zone)
    if not days:
        return
    periods = _day_table(days, connection.dialect.name)
    in_day = _is_in_day(hourly, periods, days)
    query = select(periods.c.column1).join_from(periods, hourly, in_day)
    yield from _sum_groups(
        connection,
        rollup,
        hourly,
        grouping.names,
        stored,
        query.group_by(periods.c.column1),
        grouping.filters,
        lambda row: {DAY: days[row.column1].date},
    )


def _read_spans(
    connection: Connection, hourly: Table, quarters: QuarterRange
) -> Iterator[tuple[int, int]]:
    """Yields the first and last quarter of each day of UTC that has rows, within limits.

    From one day with rows the next is found by the key, so that the days between cost nothing.
    """
    following = {
        "sqlite": "date(found.hour, '+1 day')",
        "postgresql": "date_trunc('day', found.hour) + interval '1 day'",
    }[connection.dialect.name]
    query = text(
        f"WITH RECURSIVE found(hour) AS (SELECT min(hour) FROM {hourly.name} UNION ALL "
        f"SELECT (SELECT min(hour) FROM {hourly.name} WHERE hour >= {following}) "
        "FROM found WHERE found.hour IS NOT NULL) SELECT hour FROM found WHERE hour IS NOT NULL"
    ).columns(sql_column("hour", UtcDateTime()))
    for (hour,) in connection.execute(query):
        first = micros(hour) // DAY_MICROS * (DAY_MICROS // QUARTER)
        last = first + DAY_MICROS // QUARTER - 1
        if quarters.first is not None:
            first = max(first, quarters.first)
        if quarters.end is not None:
            last = min(last, quarters.end - 1)
        if first <= last:
            yield first, last


def _day_table(days: Sequence[Day], dialect: str) -> CTE:
    """Returns a table of days: number, hour and quarter of the begin, and the same of the end.

    Its columns are named `column1` and so on.
    """
    as_text = text_format(dialect)
    prefix = "" if dialect == "sqlite" else "timestamptz "

    def limit_text(quarter: int) -> str:
        hour, number = split_quarter(quarter)
        return f"{prefix}'{as_text(micros(hour))}', {number}"

    rows = (f"({at}, {limit_text(it.first)}, {limit_text(it.last)})" for at, it in enumerate(days))
    # Escaped, since SQLAlchemy reads a colon as the mark of a parameter.
    values = f"VALUES {', '.join(rows)}".replace(":", "\\:")
    types: list[TypeEngine[Any]] = [Integer(), *(UtcDateTime(), Integer()) * 2]
    columns: Iterator[ColumnClause[Any]] = (
        sql_column(f"column{at}", type_) for at, type_ in enumerate(types, 1)
    )
    return text(values).columns(*columns).cte("runfold_days")


def _is_in_day(hourly: Table, periods: CTE, days: Sequence[Day]) -> ColumnElement[bool]:
    _, first_hour, first_quarter, last_hour, last_quarter = periods.c
    hour, quarter = hourly.c.hour, hourly.c.quarter
    in_hours = and_(hour >= first_hour, hour <= last_hour)
    if all(it.first % PER_HOUR == 0 == (it.last + 1) % PER_HOUR for it in days):
        return in_hours
    place = tuple_(hour, quarter)
    return and_(
        in_hours,
        place >= tuple_(first_hour, first_quarter),
        place <= tuple_(last_hour, last_quarter),
    )


def _limit(hourly: Table, query: Select[Any], quarters: QuarterRange) -> Select[Any]:
    place = tuple_(hourly.c.hour, hourly.c.quarter)
    if quarters.first is not None:
        hour, quarter = split_quarter(quarters.first)
        first = tuple_(literal(hour, UtcDateTime()), literal(quarter))
        query = query.where(hourly.c.hour >= hour, place >= first)
    if quarters.end is not None:
        hour, quarter = split_quarter(quarters.end)
        end = tuple_(literal(hour, UtcDateTime()), literal(quarter))
        query = query.where(hourly.c.hour <= hour, place < end)
    return query


def _sum_groups(
    connection: Connection,
    rollup: Rollup,
    table: Table,
    names: Sequence[str],
    stored: Sequence[str],
    query: Select[Any],
    filters: Filters,
    times_of: Callable[[Row[Any]], dict[str, object]] | None = None,
) -> Iterator[GroupValues]:
    keys = [table.c[_column_of(name)] for name in (*stored, *rollup.details)]
    sums = [func.sum(table.c[name]) for name in rollup.sums]
    # Labelled, since two names may be of one column.
    labelled = [key.label(f"key_{at}") for at, key in enumerate(keys)]
    query = query.add_columns(*labelled, *sums).group_by(*keys)
    for name, wanted in filters.columns.items():
        query = query.where(match_values(table.c[_column_of(name)], wanted))
    if times_of is None:
        query = query.select_from(table)
    at = len(query.selected_columns) - len(keys) - len(sums)
    details = at + len(stored)
    for row in connection.execute(query):
        if row[len(row) - len(sums)] is None:
            # Without a GROUP BY, an empty table gives one row, in which the sums are NULL.
            continue
        # An empty text stands for unknown, since NULL cannot be part of a key.
        group: dict[str, object] = {
            name: value or None for name, value in zip(stored, row[at:details], strict=True)
        }
        if times_of is not None:
            group |= times_of(row)
        yield {name: group[name] for name in names}, row[details:]
