"""Runs, their phases and their number in each status, read from the tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select

from projections.database.schema import run_actions, run_phases, run_steps, runs
from projections.queries.grouping import By, created_between, group_names, sort_key, time_zone
from projections.queries.run_groups import counted, in_zone
from projections.queries.usage import used
from projections.row_types import ActionRow, PhaseRow, RunRow, StatusCount, StepRow
from tracker.core.events import run_stream
from tracker.core.status import ENDED
from tracker.errors import SettingsError, UnknownRun

# What a service is called unless its user named it.
_USUAL_SOURCE = "assistants"

_STATUS_OF_ENDED = "outcome"

Choice = str | Sequence[str] | None


def find_runs(
    connection: Connection,
    choices: dict[str, Choice],
    since: datetime | None,
    until: datetime | None,
    limit: int | None,
) -> list[RunRow]:
    """The runs whose columns have one of the values chosen for them, newest first."""
    query = created_between(select(runs), since, until)
    for column, choice in choices.items():
        if choice is not None:
            values = [choice] if isinstance(choice, str) else list(choice)
            query = query.where(runs.c[column].in_(values))
            if column == "status" and not ENDED.intersection(values):
                # True of each of them, and what lets the index of open runs be used.
                query = query.where(runs.c.outcome.is_(None))
    query = query.limit(checked_limit(limit)).order_by(
        runs.c.created_at.desc(), runs.c.run_key.desc()
    )
    return [RunRow(*row) for row in connection.execute(query)]


def find_run(connection: Connection, run_id: str, source: str | None) -> RunRow:
    """The run of that id; without a source, that of the usual name, else of any other.

    Raises UnknownRun, or SettingsError where several other sources have a run of that id.
    """
    query = select(runs)
    by_key = query.where(runs.c.run_key == run_stream(source or _USUAL_SOURCE, run_id))
    found = connection.execute(by_key).all()
    if not found and source is None:
        # Reads the whole table: an index for the rare service with another name is not worth it.
        found = connection.execute(query.where(runs.c.run_id == run_id)).all()
    if not found:
        raise UnknownRun(
            f"no run {run_id!r} in the tables; if new, catch up first; if old, it may be pruned"
        )
    if len(found) > 1:
        sources = ", ".join(sorted(row.source for row in found))
        raise SettingsError(f"several sources have a run {run_id!r}, say which: {sources}")
    return RunRow(*found[0])


def find_phases(connection: Connection, run_key: str) -> list[PhaseRow]:
    """The phases of a run, first to last."""
    query = select(run_phases).where(run_phases.c.run_key == run_key).order_by(run_phases.c.seq)
    return [PhaseRow(*row) for row in connection.execute(query)]


def find_actions(
    connection: Connection, run_key: str | None, waiting: bool, limit: int | None
) -> list[ActionRow]:
    """The actions of one run or of all, the one required first before the others."""
    query = select(run_actions)
    if run_key is not None:
        query = query.where(run_actions.c.run_key == run_key)
    if waiting:
        query = query.where(run_actions.c.resolved_at.is_(None))
    columns = (run_actions.c[name] for name in ("required_at", "run_key", "seq", "tool_call_id"))
    query = query.order_by(*columns).limit(checked_limit(limit))
    return [ActionRow(*row) for row in connection.execute(query)]


def find_steps(connection: Connection, run_key: str) -> list[StepRow]:
    """The steps of a run, the one created first before the others."""
    columns = run_steps.columns
    query = select(*columns).where(run_steps.c.run_key == run_key)
    query = query.order_by(run_steps.c.created_at.nulls_last(), run_steps.c.step_id)
    return [StepRow(*row) for row in connection.execute(query)]


def checked_limit(limit: int | None) -> int | None:
    """A limit that can be used; None for none. Raises SettingsError."""
    if limit is not None and limit < 0:
        raise SettingsError(f"limit is how many at most, not {limit}")
    return limit


def count_statuses(
    connection: Connection, by: By, since: datetime | None, until: datetime | None, tz: str
) -> list[StatusCount]:
    """How many runs of each group are in each status: of the ended ones all that ever were."""
    names, zone = group_names(by), time_zone(tz)
    counts: dict[tuple[object, ...], StatusCount] = {}

    def add(group: dict[str, object], status: str, number: int) -> None:
        key = (*group.values(), status)
        known = counts.get(key)
        before = 0 if known is None else known.runs
        counts[key] = StatusCount(in_zone(group, zone), status, before + number)

    ended = tuple(dict.fromkeys((*names, _STATUS_OF_ENDED)))
    for group, (number, *_) in used(connection, ended, since, until, zone):
        status = str(group[_STATUS_OF_ENDED])
        if _STATUS_OF_ENDED not in names:
            del group[_STATUS_OF_ENDED]
        add(group, status, int(number))
    still_open = counted(
        connection,
        names,
        since,
        until,
        zone,
        values=[runs.c.status],
        sums=[func.count()],
        ended=False,
    )
    for group, (status, number) in still_open:
        add(group, status, number)
    return sorted(counts.values(), key=lambda it: (sort_key(it.group), it.status))
