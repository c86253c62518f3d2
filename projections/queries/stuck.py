"""The query for runs that are stuck at a given time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from projections.database.open_run_views import view_at
from projections.queries.grouping import check_limits
from projections.queries.limits import check_limit
from projections.row_types import StuckRow


def find_stuck(connection: Connection, now: datetime, limit: int | None) -> list[StuckRow]:
    """Returns the runs that are stuck at `now`, oldest first."""
    check_limits(now, None)
    stuck = view_at("stuck_runs", connection.dialect.name, now)
    query = select(stuck).order_by(stuck.c.created_at, stuck.c.run_key).limit(check_limit(limit))
    return [StuckRow(**row._mapping) for row in connection.execute(query)]
