"""Runs that match filters, in an order, page by page, in bounded time.

An index leads to the runs in each order. Filters that no index knows are applied to at most
`MOST_READ` runs a page: to all that can match where these are fewer, or else to the first ones of
the order, and the cursor continues after them. So a page takes the same time in any number of runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, FromClause, Select, func, literal, select

from projections.database.plans import without
from projections.database.schema import run_costs, runs
from projections.folding.rates import dollars
from projections.queries.filters import Filters, filter_conditions
from projections.queries.grouping import METADATA, created_conditions, group_column
from projections.queries.limits import check_limit
from projections.queries.run_cursor import (
    NANODOLLARS,
    RunOrder,
    is_after,
    sort_columns,
    write_cursor,
)
from projections.queries.run_groups import metadata_text
from projections.row_types import RunRow

# The most runs that a page reads to find those that match.
MOST_READ = 10_000
_KEYS_PER_QUERY = 500


class Search(NamedTuple):
    """The runs that are asked for."""

    filters: Filters
    since: datetime | None
    until: datetime | None
    order: RunOrder
    cursor: str | None
    # None for all runs, however many; such a search reads as many as it needs to.
    limit: int | None


class Found(NamedTuple):
    """A page of runs."""

    rows: list[RunRow]
    # None if no other runs match.
    next_cursor: str | None
    # The number of runs that were read where the search stopped there; None for a full page, and
    # for one that no other runs follow.
    searched: int | None


# The value that a run is sorted by, and its key.
_Place = tuple[Any, str]


def find_runs(connection: Connection, search: Search) -> Found:
    """Returns a page of runs. Raises SettingsError for a bad limit or cursor."""
    limit = check_limit(search.limit)
    is_bounded = limit is not None and limit < MOST_READ
    if not is_bounded:
        return _find(connection, search, limit, is_bounded=False)
    # The planner may prefer to read and sort all runs, also where the index leads to few.
    with without(connection, "enable_seqscan", "enable_bitmapscan"):
        return _find(connection, search, limit, is_bounded=True)


def _find(connection: Connection, search: Search, limit: int | None, *, is_bounded: bool) -> Found:
    source, rest, is_cut = _choose_runs(connection, search, is_bounded)
    places = _match(connection, search, source, rest)
    more = limit is not None and len(places) > limit
    page = places[:limit]
    searched = None
    if more:
        last = page[-1] if page else None
    else:
        last = _last_read(connection, search, source) if is_cut else None
        if last is not None and len(page) < (limit or 0):
            searched = MOST_READ
    cursor = None if last is None else write_cursor(search.order, *last)
    return Found(read_runs(connection, [key for _, key in page]), cursor, searched)


def read_runs(connection: Connection, keys: Sequence[str]) -> list[RunRow]:
    """Returns the rows of these keys, in their order; runs that are gone are left out."""
    found: dict[str, RunRow] = {}
    for at in range(0, len(keys), _KEYS_PER_QUERY):
        wanted = runs.c.run_key.in_(keys[at : at + _KEYS_PER_QUERY])
        for row in connection.execute(select_rows().where(wanted)):
            found[row[0]] = make_row(row)
    return [found[key] for key in keys if key in found]


def select_rows() -> Select[Any]:
    """Returns the query for the columns of `RunRow`, without conditions."""
    is_same_run = run_costs.c.run_key == runs.c.run_key
    return select(*runs.c, NANODOLLARS).join_from(runs, run_costs, is_same_run, isouter=True)


def make_row(row: Sequence[Any]) -> RunRow:
    """Returns the row of a run of `select_rows`."""
    *columns, nanodollars = row
    return RunRow(*[*columns, dollars(nanodollars)])


def _choose_runs(
    connection: Connection, search: Search, is_bounded: bool
) -> tuple[FromClause, list[ColumnElement[bool]], bool]:
    """Returns runs with their sort value, the conditions for them, and whether others may follow.

    The columns are those that the conditions need, and `sort_value`.
    """
    filters, order = search.filters, search.order
    in_time = created_conditions(search.since, search.until)
    is_plain = not filters.columns and not filters.metadata
    if not is_bounded or (is_plain and (order.is_by_creation or not in_time)):
        # Where there are other conditions, the limit is that of the runs that meet them.
        limit = search.limit + 1 if is_plain and search.limit is not None else None
        conditions = [*in_time, *filter_conditions(filters, runs.c)]
        return _sorted_runs(search, conditions, limit).subquery("chosen"), [], False
    by_index = filters.only("thread_id") if "thread_id" in filters.columns else Filters()
    if filters.are_open and not by_index.columns:
        by_index = filters.only("status")
    narrow = filter_conditions(by_index, runs.c) if by_index.columns else in_time
    if _are_few(connection, narrow):
        few = _unsorted_runs(search, narrow).subquery("chosen")
        rest = filters.without(*by_index.columns)
        conditions = filter_conditions(rest, few.c)
        if by_index.columns:
            conditions += created_conditions(search.since, search.until, few.c)
        conditions.append(few.c.sort_value.is_not(None))
        if search.cursor is not None:
            conditions.append(is_after(order, search.cursor, few.c.sort_value, few.c.run_key))
        return few, conditions, False
    inner = [*in_time, *filter_conditions(by_index, runs.c)] if order.is_by_creation else []
    first = _sorted_runs(search, inner, MOST_READ).subquery("chosen")
    conditions = filter_conditions(filters, first.c)
    if not order.is_by_creation:
        conditions += created_conditions(search.since, search.until, first.c)
    return first, conditions, True


def _are_few(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> bool:
    some = select(literal(1)).select_from(runs).where(*conditions).limit(MOST_READ + 1).subquery()
    count = connection.execute(select(func.count()).select_from(some)).scalar() or 0
    return count <= MOST_READ


def _unsorted_runs(search: Search, conditions: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """Returns the query for all runs of the conditions, which are few.

    The limit keeps a database from choosing another index, by which it would not have to sort.
    """
    chosen = select(*_needed(search), search.order.value.label("sort_value")).where(*conditions)
    if search.order.value is NANODOLLARS:
        chosen = chosen.join_from(runs, run_costs, run_costs.c.run_key == runs.c.run_key)
    if not conditions:
        # All runs of a small database, by an index like the others.
        chosen = chosen.order_by(runs.c.created_at)
    return chosen.limit(MOST_READ + 1)


def _sorted_runs(
    search: Search, conditions: Sequence[ColumnElement[bool]], limit: int | None = None
) -> Select[Any]:
    """Returns the query for the first runs of the order, after the cursor."""
    order, value = search.order, search.order.value
    key = run_costs.c.run_key if value is NANODOLLARS else runs.c.run_key
    places = select(key, value.label("sort_value")).where(value.is_not(None))
    if search.cursor is not None:
        places = places.where(is_after(order, search.cursor, value, key))
    places = places.order_by(*sort_columns(order, value, key)).limit(limit)
    if value is not NANODOLLARS:
        others = (it for it in _needed(search) if it is not key)
        return places.add_columns(*others).where(*conditions)
    if limit is None:
        joined = places.join_from(run_costs, runs, run_costs.c.run_key == runs.c.run_key)
        others = (it for it in _needed(search) if it.name != key.name)
        return joined.add_columns(*others).where(*conditions)
    first = places.subquery("places")
    return (
        select(*_needed(search), first.c.sort_value)
        .join_from(first, runs, first.c.run_key == runs.c.run_key)
        .where(*conditions)
    )


def _needed(search: Search) -> list[Any]:
    """Returns the columns of runs that the conditions need: reading all of them takes longer."""
    names = dict.fromkeys(("run_key", "created_at", "outcome", *search.filters.columns))
    if search.filters.metadata:
        names["metadata"] = None
    return [runs.c[name] for name in names]


def _match(
    connection: Connection,
    search: Search,
    source: FromClause,
    conditions: Sequence[ColumnElement[bool]],
) -> list[_Place]:
    """Returns the places of the runs that match, up to one more than the limit."""
    wanted = search.filters.metadata
    dialect = connection.dialect.name
    members = [group_column(METADATA + key, dialect, source.c) for key in wanted]
    query = select(source.c.sort_value, source.c.run_key, *members).where(*conditions)
    query = query.order_by(*sort_columns(search.order, source.c.sort_value, source.c.run_key))
    most = None if search.limit is None else search.limit + 1
    if not wanted:
        return [(value, key) for value, key in connection.execute(query.limit(most))]
    found: list[_Place] = []
    for value, key, *texts in connection.execute(query):
        if len(found) == most:
            break
        if [metadata_text(it) or None for it in texts] == [it or None for it in wanted.values()]:
            found.append((value, key))
    return found


def _last_read(connection: Connection, search: Search, source: FromClause) -> _Place | None:
    """Returns the place of the last run that was read; None if there were no more to read."""
    places = select(source.c.sort_value, source.c.run_key)
    places = places.order_by(*sort_columns(search.order, source.c.sort_value, source.c.run_key))
    last = connection.execute(places.offset(MOST_READ - 1).limit(1)).first()
    return None if last is None else (last[0], last[1])
