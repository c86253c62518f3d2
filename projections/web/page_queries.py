"""The questions of the pages that the views do not answer, each bounded at any number of runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select

from projections.database.schema import checkpoints, run_actions, run_phases, runs, usage_totals
from projections.queries.run_search import make_row, select_rows
from projections.row_types import ActionRow, PhaseRow, RunRow

# The newest runs that a comparison by metadata reads at most.
MOST_READ = 10_000

_IS_OPEN = runs.c.outcome.is_(None)


def read_positions(connection: Connection) -> list[tuple[str, int]]:
    """Returns the positions that the tables have reached, by projection."""
    query = select(checkpoints.c.projection, checkpoints.c.position)
    query = query.order_by(checkpoints.c.projection)
    return [(row[0], row[1]) for row in connection.execute(query)]


def find_oldest(connection: Connection) -> datetime | None:
    """Returns the creation of the first run."""
    return connection.execute(select(func.min(runs.c.created_at))).scalar()


def find_newest(connection: Connection) -> datetime | None:
    """Returns the creation of the last run."""
    return connection.execute(select(func.max(runs.c.created_at))).scalar()


def count_open(connection: Connection, status: str | None = None) -> int:
    """Returns the number of open runs, of all or in one status."""
    query = select(func.count()).select_from(runs).where(_IS_OPEN)
    if status is not None:
        query = query.where(runs.c.status == status)
    return int(connection.execute(query).scalar() or 0)


def find_last_ended(connection: Connection, limit: int) -> list[RunRow]:
    """Returns the runs that ended last."""
    query = select_rows().where(runs.c.ended_at.is_not(None))
    query = query.order_by(runs.c.ended_at.desc()).limit(limit)
    return [make_row(row) for row in connection.execute(query)]


def find_phases_of(connection: Connection, keys: Sequence[str]) -> dict[str, list[PhaseRow]]:
    """Returns the phases of each of these runs, first to last."""
    found: dict[str, list[PhaseRow]] = {key: [] for key in keys}
    query = select(run_phases).where(run_phases.c.run_key.in_(keys))
    for row in connection.execute(query.order_by(run_phases.c.run_key, run_phases.c.seq)):
        found[row.run_key].append(PhaseRow(*row))
    return found


def find_waiting_actions(connection: Connection, keys: Sequence[str]) -> dict[str, list[ActionRow]]:
    """Returns the calls that these runs wait for."""
    found: dict[str, list[ActionRow]] = {key: [] for key in keys}
    mine = run_actions.c.run_key.in_(keys), run_actions.c.resolved_at.is_(None)
    order = (run_actions.c[name] for name in ("required_at", "seq", "tool_call_id"))
    for row in connection.execute(select(run_actions).where(*mine).order_by(*order)):
        found[row.run_key].append(ActionRow(*row))
    return found


def list_values(connection: Connection) -> dict[str, list[str]]:
    """Returns the sources, assistants and models of ended runs, in order."""
    found: dict[str, list[str]] = {}
    for name in ("source", "assistant_id", "model"):
        column = usage_totals.c[name]
        query = select(column).where(column != "").distinct().order_by(column).limit(200)
        found[name] = list(connection.execute(query).scalars())
    return found
