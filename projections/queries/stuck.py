"""Runs that are open, and those of them that are stuck, at a moment."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, Text, bindparam, text

from projections.database.open_run_views import PARAMETER, stuck_runs
from projections.database.schema import runs
from projections.folding.micros import micros, utc_text, zoned_text
from projections.queries.grouping import checked_limits
from projections.queries.runs import checked_limit
from projections.row_types import StuckRow

_MOMENTS = {name: runs.c[name].type for name in ("created_at", "expires_at", "last_changed_at")}


def find_stuck(connection: Connection, now: datetime, limit: int | None) -> list[StuckRow]:
    """The runs that are stuck at a moment, the oldest first."""
    checked_limits(now, None)
    dialect = connection.dialect.name
    shown = (utc_text if dialect == "sqlite" else zoned_text)(micros(now))
    query = f"{stuck_runs(dialect, PARAMETER[dialect])} ORDER BY aged.created_at, aged.run_key"
    parameters: dict[str, object] = {"now": shown}
    if checked_limit(limit) is not None:
        query += " LIMIT :most"
        parameters["most"] = limit
    found = text(query).bindparams(bindparam("now", type_=Text)).columns(**_MOMENTS)
    return [StuckRow(**row._mapping) for row in connection.execute(found, parameters)]
