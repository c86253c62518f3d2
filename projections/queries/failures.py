"""Failed runs by error code."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, literal_column, select

from projections.database.plans import without
from projections.database.schema import runs
from projections.queries.filters import Filters, filter_conditions
from projections.queries.grouping import created_conditions
from projections.queries.limits import check_limit
from projections.row_types import FailureRow
from tracker.core.status import FAILED
from tracker.errors import SettingsError

# The newest failed runs that are counted: of the index alone, or with filters of their rows.
MOST_COUNTED, MOST_FILTERED = 50_000, 10_000


def count_failures(
    connection: Connection,
    filters: Filters,
    since: datetime | None,
    until: datetime | None,
    limit: int | None,
) -> tuple[list[FailureRow], int | None]:
    """Returns the failed runs of each error code, those of most runs first.

    Counted are the newest; their number is returned where older ones were left out, else None.
    """
    if filters.metadata:
        raise SettingsError("failures cannot be filtered by metadata: use `runs`")
    with without(connection, "enable_seqscan"):
        return _count(connection, filters, since, until, limit)


def _count(
    connection: Connection,
    filters: Filters,
    since: datetime | None,
    until: datetime | None,
    limit: int | None,
) -> tuple[list[FailureRow], int | None]:
    most = MOST_FILTERED if filters.columns else MOST_COUNTED
    # Written out, as in the condition of the index.
    has_failed = runs.c.outcome == literal_column(f"'{FAILED}'")
    newest = (
        select(*_columns(filters))
        .where(has_failed, *created_conditions(since, until))
        .order_by(runs.c.created_at.desc())
        .limit(most)
        .subquery("newest")
    )
    code = newest.c.error_code
    counted = (
        select(code, func.count(), func.max(newest.c.created_at))
        .where(*filter_conditions(filters, newest.c))
        .group_by(code)
    )
    found = sorted(connection.execute(counted), key=lambda it: (-it[1], it[0] or ""))
    total = sum(it[1] for it in found)
    read = connection.execute(select(func.count()).select_from(newest)).scalar() or 0
    rows = []
    for error_code, count, last_at in found[: check_limit(limit)]:
        run_key, message = _find_last(connection, has_failed, filters, error_code, last_at)
        rows.append(FailureRow(error_code, count, count / total, last_at, run_key, message))
    return rows, most if read == most else None


def _columns(filters: Filters) -> list[Any]:
    """Returns the columns that are read: without filters, those of the index alone."""
    names = dict.fromkeys(("created_at", "error_code", *filters.columns))
    if filters.columns:
        names["outcome"] = None
    return [runs.c[name] for name in names]


def _find_last(
    connection: Connection,
    has_failed: Any,
    filters: Filters,
    error_code: str | None,
    created_at: datetime,
) -> tuple[str, str | None]:
    query = (
        select(runs.c.run_key, runs.c.error_message)
        .where(has_failed, runs.c.created_at == created_at)
        .where(runs.c.error_code.is_not_distinct_from(error_code))
        .where(*filter_conditions(filters, runs.c))
        .order_by(runs.c.run_key.desc())
        .limit(1)
    )
    found = connection.execute(query).first()
    return ("", None) if found is None else (found[0], found[1])
