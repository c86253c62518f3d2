"""Sums over the rollups: by kind of run, day and hour, whatever the number of runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

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
from projections.folding.micros import micros, utc_text, zoned_text
from projections.queries.grouping import DAY, HOUR, TIMES, local_times
from projections.queries.periods import PER_HOUR, Day, Span, days, hour_of
from projections.row_types import RunRow

# The group that a row counts for, and what it counts.
Counted = tuple[dict[str, object], Sequence[Any]]


class Rollup(NamedTuple):
    """A rollup by hour and over all time, and the columns that are counted in it.

    `apart` are key columns that are kept apart beside the group, in front of the sums.
    """

    hourly: Table
    totals: Table
    apart: tuple[str, ...]
    sums: tuple[str, ...]

    def covers(self, names: Sequence[str]) -> bool:
        """Whether it can be grouped by all of these."""
        return all(name in TIMES or name in self.totals.c for name in names)


def count(
    connection: Connection, rollup: Rollup, names: Sequence[str], span: Span, zone: ZoneInfo
) -> Iterator[Counted]:
    """The sums of each group over whole quarters of an hour; a group may come in parts."""
    stored = [name for name in names if name not in TIMES]
    is_limited = span.first is not None or span.end is not None
    if not is_limited and len(stored) == len(names):
        yield from _grouped(connection, rollup, rollup.totals, names, stored, select())
    elif HOUR in names:
        hourly = rollup.hourly
        query = _within(hourly, select(hourly.c.hour, hourly.c.quarter), span)
        query = query.group_by(hourly.c.hour, hourly.c.quarter)

        def of(row: Row[Any]) -> dict[str, object]:
            number = micros(row.hour) // (3_600_000_000 // PER_HOUR) + row.quarter
            return local_times(names, number, zone)

        yield from _grouped(connection, rollup, hourly, names, stored, query, of)
    elif DAY in names:
        yield from _daily(connection, rollup, names, stored, span, zone)
    else:
        query = _within(rollup.hourly, select(), span)
        yield from _grouped(connection, rollup, rollup.hourly, names, stored, query)


def edge_runs(connection: Connection, span: Span) -> Iterator[RunRow]:
    """The ended runs that were created in the quarters at both ends, of which only a part counts.

    These are read one by one, so that limits are exact to the moment.
    """
    for since, until in span.edges:
        for row in connection.execute(ended_between(select(runs), since, until)):
            yield RunRow(*row)


def ended_between(query: Select[Any], since: datetime, until: datetime) -> Select[Any]:
    """The runs of a query that ended, of those created from `since` on and before `until`."""
    created = runs.c.created_at
    return query.where(runs.c.outcome.is_not(None), created >= since, created < until)


def _daily(
    connection: Connection,
    rollup: Rollup,
    names: Sequence[str],
    stored: Sequence[str],
    span: Span,
    zone: ZoneInfo,
) -> Iterator[Counted]:
    hourly = rollup.hourly
    first, last = connection.execute(select(func.min(hourly.c.hour), func.max(hourly.c.hour))).one()
    if first is None:
        return
    begin, end = (micros(it) * PER_HOUR // 3_600_000_000 for it in (first, last))
    begin = begin if span.first is None else max(begin, span.first)
    end = end + PER_HOUR if span.end is None else min(end + PER_HOUR, span.end)
    found = list(days(begin, end, zone))
    if not found:
        return
    cut = [it._replace(first=max(it.first, begin), end=min(it.end, end)) for it in found]
    periods = _periods(cut, connection.dialect.name)
    query = select(periods.c.column1).join_from(periods, hourly, _in_period(hourly, periods, cut))
    yield from _grouped(
        connection,
        rollup,
        hourly,
        names,
        stored,
        query.group_by(periods.c.column1),
        lambda row: {DAY: found[row.column1].date},
    )


def _periods(found: Sequence[Day], dialect: str) -> CTE:
    """Number, hour and quarter of the begin, hour and quarter of the end, of each day."""
    shown = utc_text if dialect == "sqlite" else zoned_text
    kind = "" if dialect == "sqlite" else "timestamptz "

    def place(quarter: int) -> str:
        hour, number = hour_of(quarter)
        return f"{kind}'{shown(micros(hour))}', {number}"

    rows = (f"({n}, {place(it.first)}, {place(it.end)})" for n, it in enumerate(found))
    # A colon would be taken for the mark of a parameter.
    values = f"VALUES {', '.join(rows)}".replace(":", "\\:")
    types: list[TypeEngine[Any]] = [Integer(), *(UtcDateTime(), Integer()) * 2]
    named: Iterator[ColumnClause[Any]] = (
        sql_column(f"column{at}", kind) for at, kind in enumerate(types, 1)
    )
    return text(values).columns(*named).cte("runfold_days")


def _in_period(hourly: Table, periods: CTE, found: Sequence[Day]) -> ColumnElement[bool]:
    _, first_hour, first_quarter, end_hour, end_quarter = periods.c
    hour, quarter = hourly.c.hour, hourly.c.quarter
    if all(it.first % PER_HOUR == 0 == it.end % PER_HOUR for it in found):
        return and_(hour >= first_hour, hour < end_hour)
    place = tuple_(hour, quarter)
    return and_(
        hour >= first_hour,
        hour <= end_hour,
        place >= tuple_(first_hour, first_quarter),
        place < tuple_(end_hour, end_quarter),
    )


def _within(hourly: Table, query: Select[Any], span: Span) -> Select[Any]:
    place = tuple_(hourly.c.hour, hourly.c.quarter)
    if span.first is not None:
        hour, quarter = hour_of(span.first)
        least = tuple_(literal(hour, UtcDateTime()), literal(quarter))
        query = query.where(hourly.c.hour >= hour, place >= least)
    if span.end is not None:
        hour, quarter = hour_of(span.end)
        limit = tuple_(literal(hour, UtcDateTime()), literal(quarter))
        query = query.where(hourly.c.hour <= hour, place < limit)
    return query


def _grouped(
    connection: Connection,
    rollup: Rollup,
    table: Table,
    names: Sequence[str],
    stored: Sequence[str],
    query: Select[Any],
    times: Callable[[Row[Any]], dict[str, object]] | None = None,
) -> Iterator[Counted]:
    keys = [table.c[name] for name in (*stored, *rollup.apart)]
    sums = [func.sum(table.c[name]) for name in rollup.sums]
    query = query.add_columns(*keys, *sums).group_by(*keys)
    if times is None:
        query = query.select_from(table)
    at = len(query.selected_columns) - len(keys) - len(sums)
    counted = at + len(stored)
    for row in connection.execute(query):
        if row[len(row) - len(sums)] is None:
            # Without a group, no rows have a sum too.
            continue
        # An empty text stands for what nobody said, since NULL cannot be in a key.
        values: dict[str, object] = {
            name: value or None for name, value in zip(stored, row[at:counted], strict=True)
        }
        if times is not None:
            values |= times(row)
        yield {name: values[name] for name in names}, row[counted:]
