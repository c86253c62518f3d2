"""What ails the tables, read from their checkpoints, and what helps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, inspect, select

from projections.database import migrations
from projections.database.schema import REVISION, SHADOW_SUFFIX, checkpoints
from projections.projectors.projection import Projection
from tracker.event_store.store import EventStore

OK, BEHIND, REBUILDING = "ok", "behind", "rebuilding"
FAILED, OUTDATED, NEWER, AHEAD, MISSING = "failed", "outdated", "newer", "ahead", "missing"
_NEEDS_NOTHING = frozenset((OK, BEHIND, REBUILDING))
_NEWER_CURE = "a newer release has been here; use that one"


class SchemaState(NamedTuple):
    """The revision of the tables: `ok`, `missing`, `outdated` or `newer`, and what helps."""

    state: str
    found: str | None
    needed: str
    cure: str | None


class ProjectionState(NamedTuple):
    """One projection, by its checkpoint. `version` is of what filled its tables, if anything.

    `state` is `ok`, `behind`, `rebuilding`, `failed`, `outdated` (an earlier version filled the
    tables; they are rebuilt by the next catch-up), `newer`, or `ahead` (of an event store that
    was restored). `lag` is how many events are to be applied, at most. `rebuilt_to` is the
    position that a begun rebuild has reached.
    """

    name: str
    state: str
    version: int | None
    needed_version: int
    position: int
    lag: int
    failure: str | None
    rebuilt_to: int | None
    cure: str | None


class Diagnosis(NamedTuple):
    """The tables and each projection. Runs that ended before `pruned_before` were pruned."""

    schema: SchemaState
    last_position: int
    pruned_before: datetime | None
    projections: tuple[ProjectionState, ...]

    @property
    def is_healthy(self) -> bool:
        """Whether nothing failed and nothing needs a hand; what is behind only needs time."""
        states = (self.schema.state, *(it.state for it in self.projections))
        return _NEEDS_NOTHING.issuperset(states)


def diagnose(
    engine: Engine,
    store: Callable[[], AbstractContextManager[EventStore]],
    projections: Sequence[Projection],
) -> Diagnosis:
    """Reads what there is to be read, whichever release made it; changes nothing."""
    with engine.connect() as connection:
        schema = _schema(migrations.current(engine))
        found = _checkpoints(connection)
    # Asked after: a runner may bring a checkpoint past what was the last before.
    with store() as events:
        last = events.last_position()
        # Behind by what there is: the last events may be forgotten.
        places = {it.get("position") or 0 for it in found.values()} | {0}
        behind = {place for place in places if place < last and events.wait(place, 0)}
    pruned = [row["pruned_before"] for row in found.values() if row.get("pruned_before")]
    states = (_projection(it, found, last, behind) for it in projections)
    return Diagnosis(schema, last, max(pruned, default=None), tuple(states))


def _schema(found: str | None) -> SchemaState:
    if found == REVISION:
        return SchemaState(OK, found, REVISION, None)
    if found is not None and found > REVISION:
        return SchemaState(NEWER, found, REVISION, _NEWER_CURE)
    return SchemaState(MISSING if found is None else OUTDATED, found, REVISION, "runfold upgrade")


def _checkpoints(connection: Connection) -> dict[str, Mapping[str, Any]]:
    """The checkpoints by their names, with those of our columns that are there."""
    looking = inspect(connection)
    if not looking.has_table(checkpoints.name):
        return {}
    there = {column["name"] for column in looking.get_columns(checkpoints.name)}
    ours = [column for column in checkpoints.columns if column.name in there]
    if checkpoints.c.projection not in ours:
        return {}
    rows = connection.execute(select(*ours)).mappings()
    return {row["projection"]: dict(row) for row in rows}


def _projection(
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
    elif failure is not None:
        state, cure = FAILED, "see what it says, then runfold catch-up"
        if row.get("failure") is None:
            cure = f"see what it says, then runfold rebuild {name}"
    elif position > last:
        state, cure = AHEAD, "runfold rebuild --all"
    elif shadow is not None:
        state, cure = REBUILDING, f"if nobody is at it: runfold rebuild {name}"
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
