"""Runs with their phases, actions and steps, and the number of runs in each status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, select, union

from projections.database.schema import (
    checkpoints,
    run_actions,
    run_phases,
    run_steps,
    runs,
    set_aside,
    usage_totals,
)
from projections.queries.grouping import (
    OUTCOME,
    Grouping,
    localize_hour,
    sort_key,
)
from projections.queries.limits import check_limit
from projections.queries.run_groups import read_groups
from projections.queries.run_search import make_row, select_rows
from projections.queries.usage import read_usage
from projections.row_types import ActionRow, PhaseRow, RunRow, StatusCount, StepRow
from tracker.core.events import run_stream
from tracker.errors import SettingsError, UnknownRun

# The projections whose tables have the same runs where they are at the same position.
_RUNS_AND_USAGE = ("runs", "usage")


def find_run(connection: Connection, run_id: str, source: str | None) -> RunRow:
    """Returns the run with an id, of a source or of any; or with that key.

    Raises UnknownRun, or SettingsError without `source` if several sources have a run of that id.
    """
    found: Sequence[Any] = ()
    if not run_id:
        raise UnknownRun(f"no run has the id {run_id!r}: pass the id of a run, such as 'run_1'")
    if source is not None:
        found = _find_keys(connection, [run_stream(source, run_id)])
    else:
        sources = _read_sources(connection)
        if sources is not None:
            found = _find_keys(connection, [run_stream(it, run_id) for it in sources])
        else:
            found = connection.execute(select_rows().where(runs.c.run_id == run_id)).all()
    if not found and source is None:
        found = _find_keys(connection, [run_id])
    if not found:
        raise UnknownRun(
            f"no run {run_id!r} in the tables; if new, catch up first; if old, it may be pruned"
        )
    if len(found) > 1:
        sources = sorted(row.source for row in found)
        raise SettingsError(
            f"several sources have a run {run_id!r}: {', '.join(sources)}; name one of them "
            "with `source`, or with --source on the command line"
        )
    return make_row(found[0])


def _find_keys(connection: Connection, keys: Sequence[str]) -> Sequence[Any]:
    return connection.execute(select_rows().where(runs.c.run_key.in_(keys))).all()


def _read_sources(connection: Connection) -> list[str] | None:
    """Returns the names of all sources, or None where only the table of all runs has them.

    Ended runs are counted in a small table, and open ones are few; to read the whole table would
    take a second for a million runs.
    """
    places = select(checkpoints.c.position).where(checkpoints.c.projection.in_(_RUNS_AND_USAGE))
    positions = connection.execute(places).scalars().all()
    is_complete = len(positions) == len(_RUNS_AND_USAGE) and len(set(positions)) == 1
    if not is_complete or connection.execute(select(set_aside.c.position).limit(1)).first():
        return None
    of_ended: Select[Any] = select(usage_totals.c.source)
    of_open: Select[Any] = select(runs.c.source).where(runs.c.outcome.is_(None))
    return list(connection.execute(union(of_ended, of_open)).scalars())


def find_phases(connection: Connection, run_key: str) -> list[PhaseRow]:
    """Returns the phases of a run, first to last."""
    query = select(run_phases).where(run_phases.c.run_key == run_key).order_by(run_phases.c.seq)
    return [PhaseRow(*row) for row in connection.execute(query)]


def find_actions(
    connection: Connection, run_key: str | None, waiting: bool, limit: int | None
) -> list[ActionRow]:
    """Returns the actions of one run or of all, in the order in which they were required."""
    query = select(run_actions)
    if run_key is not None:
        query = query.where(run_actions.c.run_key == run_key)
    if waiting:
        query = query.where(run_actions.c.resolved_at.is_(None))
    columns = (run_actions.c[name] for name in ("required_at", "run_key", "seq", "tool_call_id"))
    query = query.order_by(*columns).limit(check_limit(limit))
    return [ActionRow(*row) for row in connection.execute(query)]


def find_steps(connection: Connection, run_key: str) -> list[StepRow]:
    """Returns the steps of a run in the order of their creation."""
    columns = run_steps.columns
    query = select(*columns).where(run_steps.c.run_key == run_key)
    query = query.order_by(run_steps.c.created_at.nulls_last(), run_steps.c.step_id)
    return [StepRow(*row) for row in connection.execute(query)]


def count_statuses(connection: Connection, grouping: Grouping) -> list[StatusCount]:
    """Returns the number of runs of each group in each status, ended runs by their outcome."""
    counts: dict[tuple[object, ...], StatusCount] = {}

    def add(group: dict[str, object], status: str, number: int) -> None:
        key = (*group.values(), status)
        known = counts.get(key)
        before = 0 if known is None else known.runs
        counts[key] = StatusCount(localize_hour(group, grouping.zone), status, before + number)

    by_outcome = grouping._replace(names=tuple(dict.fromkeys((*grouping.names, OUTCOME))))
    for group, (number, *_) in read_usage(connection, by_outcome):
        status = str(group[OUTCOME])
        if OUTCOME not in grouping.names:
            del group[OUTCOME]
        add(group, status, int(number))
    number_of_runs = [func.count()]
    open_runs = read_groups(
        connection, grouping, values=[runs.c.status], sums=number_of_runs, ended=False
    )
    for group, (status, number) in open_runs:
        add(group, status, number)
    return sorted(counts.values(), key=lambda it: (sort_key(it.group), it.status))
