"""Open runs with their phases, oldest first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from projections.database.open_run_views import view_at
from projections.database.schema import run_phases
from projections.queries.filters import Filters, match_values
from projections.queries.grouping import check_limits
from projections.queries.limits import check_limit
from projections.row_types import OpenRunRow, PhaseRow
from tracker.errors import SettingsError


def find_open_runs(
    connection: Connection, filters: Filters, now: datetime, limit: int | None
) -> list[OpenRunRow]:
    """Returns the runs that have not ended, with their ages at `now`."""
    check_limits(now, None)
    opened = view_at("open_runs", connection.dialect.name, now)
    query = select(opened).order_by(opened.c.created_at, opened.c.run_key)
    for name, wanted in filters.columns.items():
        if name not in opened.c:
            raise SettingsError(
                f"open runs cannot be filtered by {name}: {', '.join(opened.c.keys())}"
            )
        query = query.where(match_values(opened.c[name], wanted))
    if filters.metadata:
        raise SettingsError("open runs cannot be filtered by metadata: use `runs`")
    found = connection.execute(query.limit(check_limit(limit))).all()
    phases = find_phases_of(connection, [row.run_key for row in found])
    return [OpenRunRow(**row._mapping, phases=tuple(phases[row.run_key])) for row in found]


def find_phases_of(connection: Connection, keys: Sequence[str]) -> dict[str, list[PhaseRow]]:
    """Returns the phases of each of these runs, first to last."""
    found: dict[str, list[PhaseRow]] = defaultdict(list)
    query = select(run_phases).order_by(run_phases.c.run_key, run_phases.c.seq)
    for at in range(0, len(keys), 500):
        for row in connection.execute(query.where(run_phases.c.run_key.in_(keys[at : at + 500]))):
            found[row.run_key].append(PhaseRow(*row))
    return found
