"""The checkpoint of a projection: the position that its tables have reached.

A checkpoint is advanced in the transaction that writes the rows, by a compare-and-set as its first
statement. Of two runners that read the same batch, the second one changes nothing, and one of an
earlier release changes nothing in the tables of a later one. All transactions lock the checkpoints
in the order of their names, and a table only after its checkpoint, so that they cannot deadlock.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from projections.database.conflicts import retry_conflicts
from projections.database.schema import SHADOW_SUFFIX, checkpoints
from projections.projectors.projection import Projection
from tracker.errors import PricesDiffer, SchemaError, ViewsError


class Checkpoint(NamedTuple):
    """The state of the tables of one projection."""

    # The last event that was applied.
    position: int
    # The version of the projection that applied it.
    version: int
    # The reason why the tables cannot be written; None if nothing failed.
    failure: str | None = None
    # Runs that ended before this are not in the tables, although their events were applied.
    pruned_before: datetime | None = None
    # The settings that the rows depend on beside the events.
    settings: str | None = None


class CheckpointMoved(ViewsError):
    """Another runner applied the batch first: roll back and read again."""


class CheckpointGone(ViewsError):
    """Another runner has finished the rebuild."""


class Outdated(SchemaError):
    """The tables were filled by an earlier version of the projection and need a rebuild."""


def read_checkpoint(connection: Connection, name: str) -> Checkpoint | None:
    """Returns the checkpoint of a projection; None if it never ran."""
    columns = checkpoints.c[Checkpoint._fields]
    row = connection.execute(select(*columns).where(checkpoints.c.projection == name)).first()
    return None if row is None else Checkpoint(*row)


def ensure_checkpoint(engine: Engine, projection: Projection) -> Checkpoint:
    """Returns the checkpoint of a projection, and creates it at position 0 if there is none.

    Raises PricesDiffer where its rows depend on other settings, Outdated where an earlier version
    of the projection filled its tables, SchemaError where a later one did, and CheckpointGone for
    a rebuild that is finished.
    """
    with engine.connect() as connection:
        found = read_checkpoint(connection, projection.name)
    if found is None and projection.name.endswith(SHADOW_SUFFIX):
        raise CheckpointGone(f"{projection.name} is over")
    if found is None:
        retry_conflicts(lambda: _create(engine, projection))
        with engine.connect() as connection:
            found = read_checkpoint(connection, projection.name)
    if found is None or found.version < projection.version:
        raise Outdated(
            f"the tables of the projection {projection.name!r} were filled by its version "
            f"{found and found.version}, this release has version {projection.version}: "
            f"run `runfold rebuild {projection.name}`"
        )
    refuse_newer(projection, found)
    check_settings(projection, found)
    return found


def refuse_newer(projection: Projection, found: Checkpoint | None) -> None:
    """Raises SchemaError if a later version of the projection filled its tables."""
    if found is not None and found.version > projection.version:
        raise SchemaError(
            f"the tables of the projection {projection.name!r} were filled by its version "
            f"{found.version}, this release has version {projection.version}: "
            "they belong to a newer release; use that one"
        )


def check_settings(projection: Projection, checkpoint: Checkpoint | None) -> None:
    """Raises PricesDiffer where the rows of a projection depend on other settings."""
    if checkpoint is not None and checkpoint.settings != projection.settings:
        error = PricesDiffer(
            describe_other_prices(checkpoint.settings, projection.settings, projection.name)
        )
        error.projections = (projection.name,)
        raise error


def describe_other_prices(kept: str | None, ours: str | None, name: str) -> str:
    """Describes the settings of the prices of a database and of a process, and what helps."""
    if name != "costs":
        return (
            f"the table of the projection {name!r} has costs {kept}, and this process has {ours}: "
            f"use the same prices, or rebuild it with `Views.rebuild({name!r}, reprice=True)`"
        )
    kept, ours = (f"with the settings {it}" if it else "without settings" for it in (kept, ours))
    return (
        f"the costs of this database are priced {kept}, and those of this process are {ours}: "
        "use the same, as `Views(prices=Prices(…))` or `--prices FILE`, or price all runs again "
        "with `runfold rebuild costs --reprice` or `Views.rebuild('costs', reprice=True)`"
    )


def lock_checkpoints(connection: Connection, names: Iterable[str] | None = None) -> None:
    """Locks the checkpoints of projections, or all, until the end of the transaction.

    Must be the first statement of the transaction, except for one that excludes all others.
    """
    if names is None:
        names = connection.execute(select(checkpoints.c.projection)).scalars().all()
    for name in sorted(names):
        mine = checkpoints.c.projection == name
        # An update, which locks on SQLite too.
        connection.execute(update(checkpoints).where(mine).values(position=checkpoints.c.position))


def advance_checkpoints(
    connection: Connection, projections: Iterable[Projection], old: int, new: int
) -> None:
    """Moves checkpoints from `old` to `new`; must be the first statements of the transaction.

    Raises CheckpointMoved where one is not at `old` any more, or its tables were filled by another
    version of the projection, or with other settings.
    """
    for projection in sorted(projections, key=lambda it: it.name):
        moved = update(checkpoints).where(*_is_at(projection, old))
        if connection.execute(moved.values(position=new, failure=None)).rowcount != 1:
            raise CheckpointMoved(f"the checkpoint of {projection.name!r} is not at {old} any more")


def record_failure(
    connection: Connection, projection: Projection, position: int, failure: str
) -> None:
    """Records why a projection cannot write its tables after `position`."""
    failed = update(checkpoints).where(*_is_at(projection, position))
    connection.execute(failed.values(failure=failure))


def transfer_checkpoint(connection: Connection, name: str, receiver: str) -> None:
    """Moves the checkpoint of a projection to another one; both have to be locked."""
    found, before = read_checkpoint(connection, name), read_checkpoint(connection, receiver)
    assert found is not None
    connection.execute(delete(checkpoints).where(checkpoints.c.projection == name))
    pruned_before = before and before.pruned_before
    moved = found._replace(failure=None, pruned_before=pruned_before)
    set_checkpoint(connection, receiver, moved)


def set_checkpoint(connection: Connection, name: str, checkpoint: Checkpoint) -> None:
    """Inserts or overwrites a checkpoint."""
    values = checkpoint._asdict()
    connection.execute(
        _insert(connection)
        .values(projection=name, **values)
        .on_conflict_do_update(index_elements=["projection"], set_=values)
    )


def read_pruned_before(connection: Connection) -> datetime | None:
    """Returns the moment before which ended runs are pruned; None if none were."""
    return connection.execute(select(func.max(checkpoints.c.pruned_before))).scalar()


def check_not_ahead(checkpoint: Checkpoint, last_position: int) -> None:
    """Raises ViewsError where the tables contain events that the event store does not have."""
    if checkpoint.position > last_position:
        raise ViewsError(
            f"the views are ahead of the event store (at position {checkpoint.position}, its "
            f"last is {last_position}): it was restored or replaced; run `runfold rebuild --all`"
        )


def _create(engine: Engine, projection: Projection) -> None:
    values = {
        "projection": projection.name,
        "position": 0,
        "version": projection.version,
        "settings": projection.settings,
    }
    with engine.begin() as connection:
        connection.execute(_insert(connection).values(values).on_conflict_do_nothing())


def _is_at(projection: Projection, position: int) -> tuple[ColumnElement[bool], ...]:
    here = checkpoints.c
    return (
        here.projection == projection.name,
        here.position == position,
        here.version == projection.version,
        here.settings.is_not_distinct_from(projection.settings),
    )


def _insert(connection: Connection) -> sqlite.Insert | postgresql.Insert:
    """Returns an insert with the conflict clauses of the database."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(checkpoints)
    return postgresql.insert(checkpoints)
