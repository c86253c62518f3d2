"""The diagnosis of the tables from their checkpoints, with remedies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, select

from projections.database import migrations
from projections.database.catalog import column_names, has_table
from projections.database.schema import REVISION, SHADOW_SUFFIX, checkpoints, set_aside
from projections.projectors.projection import Projection
from projections.runner.checkpoint import describe_other_prices
from projections.runner.set_aside import SetAsideRun, count_set_aside, find_set_aside
from tracker.event_store.store import EventStore

OK, BEHIND, REBUILDING = "ok", "behind", "rebuilding"
FAILED, OUTDATED, NEWER, AHEAD, MISSING = "failed", "outdated", "newer", "ahead", "missing"
DIFFERS = "differs"
_HEALTHY = frozenset((OK, BEHIND, REBUILDING))
_NAMED_RUNS = 100
_NEWER_CURE = "the tables belong to a newer release; use that one"


@dataclass(frozen=True, slots=True)
class SchemaState:
    """The state of the tables by the revision of their migrations."""

    # `ok`, `missing`, `outdated` or `newer`.
    state: str
    # The revision of the database; None without our tables.
    found: str | None
    # The revision that this release uses.
    needed: str
    # The command that helps; None where nothing is needed.
    cure: str | None


@dataclass(frozen=True, slots=True)
class ProjectionState:
    """The state of one projection by its checkpoint."""

    name: str
    # `ok`, `behind`, `rebuilding`, `failed`, `outdated` (an earlier version filled the tables; the
    # next catch-up rebuilds them), `newer`, `ahead` (of an event store that was restored), or
    # `differs` (costs whose settings of the prices are not those of this process).
    state: str
    # The version that filled the tables; None if they are empty.
    version: int | None
    # The version in this release.
    needed_version: int
    # The last event that was applied.
    position: int
    # The number of events that are still to be applied, at most.
    lag: int
    # The reason why its tables cannot be written.
    failure: str | None
    # The position that an unfinished rebuild has reached.
    rebuilt_to: int | None
    # The command that helps; None where nothing is needed.
    cure: str | None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The state of the tables and of each projection."""

    schema: SchemaState
    # The last position of the event store.
    last_position: int
    # Runs that ended before this were pruned; None if none were.
    pruned_before: datetime | None
    projections: tuple[ProjectionState, ...]
    # The number of runs that are set aside, and the first 100 of them.
    runs_set_aside: int
    set_aside: tuple[SetAsideRun, ...]

    @property
    def is_healthy(self) -> bool:
        """True if nothing failed and no command is needed; being behind is healthy."""
        states = (self.schema.state, *(it.state for it in self.projections))
        return _HEALTHY.issuperset(states) and not self.runs_set_aside


def diagnose(
    engine: Engine,
    store: Callable[[], AbstractContextManager[EventStore]],
    projections: Sequence[Projection],
) -> Diagnosis:
    """Reads the state of tables of any release, and changes nothing."""
    with engine.connect() as connection:
        schema = _diagnose_schema(migrations.current(engine))
        found = _read_checkpoints(connection)
        # Tables of another release may not have it.
        has_notes = schema.state == OK and has_table(connection, set_aside.name)
        number = count_set_aside(connection) if has_notes else 0
        named = find_set_aside(connection, _NAMED_RUNS) if number else []
    # Read after the checkpoints: a runner may advance one past an earlier value.
    with store() as events:
        last = events.last_position()
        # A checkpoint below the last position is not behind if the events between are forgotten.
        positions = {it.get("position") or 0 for it in found.values()} | {0}
        behind = {it for it in positions if it < last and events.wait(it, 0)}
    pruned = [row["pruned_before"] for row in found.values() if row.get("pruned_before")]
    states = (_diagnose_projection(it, found, last, behind) for it in projections)
    return Diagnosis(schema, last, max(pruned, default=None), tuple(states), number, tuple(named))


def _diagnose_schema(found: str | None) -> SchemaState:
    if found == REVISION:
        return SchemaState(OK, found, REVISION, None)
    if found is not None and found > REVISION:
        return SchemaState(NEWER, found, REVISION, _NEWER_CURE)
    return SchemaState(MISSING if found is None else OUTDATED, found, REVISION, "runfold upgrade")


def _read_checkpoints(connection: Connection) -> dict[str, Mapping[str, Any]]:
    """Returns the checkpoints by name, with those of our columns that the database has."""
    if not has_table(connection, checkpoints.name):
        return {}
    names = column_names(connection, checkpoints.name)
    known = [column for column in checkpoints.columns if column.name in names]
    if checkpoints.c.projection not in known:
        return {}
    rows = connection.execute(select(*known)).mappings()
    return {row["projection"]: dict(row) for row in rows}


def _diagnose_projection(
    projection: Projection,
    found: Mapping[str, Mapping[str, Any]],
    last: int,
    behind: Collection[int],
) -> ProjectionState:
    name = projection.name
    row, shadow = found.get(name, {}), found.get(name + SHADOW_SUFFIX)
    version: int | None = row.get("version")
    position: int = row.get("position") or 0
    failure: str | None = row.get("failure") or (shadow or {}).get("failure")
    rebuilt_to = None if shadow is None else shadow.get("position")
    cure: str | None = None
    if version is not None and version > projection.version:
        state, cure = NEWER, _NEWER_CURE
    elif version is not None and row.get("settings") != projection.settings:
        state = DIFFERS
        cure = describe_other_prices(row.get("settings"), projection.settings, name)
    elif failure is not None:
        state, cure = FAILED, "read the failure, then run: runfold catch-up"
        if row.get("failure") is None:
            cure = f"read the failure, then run: runfold rebuild {name}"
    elif position > last:
        state, cure = AHEAD, "runfold rebuild --all"
    elif shadow is not None:
        state, cure = REBUILDING, f"if no process is rebuilding: runfold rebuild {name}"
    elif version is not None and version < projection.version:
        state, cure = OUTDATED, "runfold catch-up"
    elif position in behind:
        state, cure = BEHIND, "runfold catch-up"
    else:
        state = OK
    lag = last - position if position in behind else 0
    return ProjectionState(
        name, state, version, projection.version, position, lag, failure, rebuilt_to, cure
    )
