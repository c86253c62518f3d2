"""How far a projection has come: read, and advanced in the transaction of the rows.

Advancing compares and sets, as the first statement of its transaction: of two runners that
read the same batch, the one that comes second changes nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, Engine, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from projections.database.schema import SHADOW_SUFFIX, checkpoints
from projections.projectors.projection import Projection
from tracker.errors import SchemaError, ViewsError


class Checkpoint(NamedTuple):
    """The position of the last event applied, by which version of the projection.

    `failure` says why it did not get past it, where it tried and could not. Runs that ended
    before `pruned_before` are not in its tables, though their events were applied.
    """

    position: int
    version: int
    failure: str | None = None
    pruned_before: datetime | None = None


class CheckpointMoved(ViewsError):
    """Another runner applied the batch first: roll back and read again."""


class CheckpointGone(ViewsError):
    """Another runner has finished the rebuild."""


class Outdated(SchemaError):
    """An earlier version of a projection filled its tables: they are to be made again."""


def read(connection: Connection, name: str) -> Checkpoint | None:
    """The checkpoint of a projection; None where it never ran."""
    columns = checkpoints.c[Checkpoint._fields]
    row = connection.execute(select(*columns).where(checkpoints.c.projection == name)).first()
    return None if row is None else Checkpoint(*row)


def start(engine: Engine, projection: Projection) -> Checkpoint:
    """The checkpoint of a projection, made at position 0 where there is none.

    Raises Outdated where an earlier version of the projection filled its tables, SchemaError
    where a later one did, and CheckpointGone where only a rebuild may make it.
    """
    with engine.connect() as connection:
        found = read(connection, projection.name)
    if found is None and projection.name.endswith(SHADOW_SUFFIX):
        raise CheckpointGone(f"{projection.name} is over")
    if found is None:
        values = {"projection": projection.name, "position": 0, "version": projection.version}
        with engine.begin() as connection:
            connection.execute(_insert(connection).values(values).on_conflict_do_nothing())
        with engine.connect() as connection:
            found = read(connection, projection.name)
    if found is None or found.version < projection.version:
        raise Outdated(
            f"the tables of the projection {projection.name!r} were filled by its version "
            f"{found and found.version}, this release has version {projection.version}: "
            f"run `runfold rebuild {projection.name}`"
        )
    if found.version > projection.version:
        raise SchemaError(
            f"the tables of the projection {projection.name!r} were filled by its version "
            f"{found.version}, this release has version {projection.version}: "
            "a newer release has been here; use that one"
        )
    return found


def advance(connection: Connection, name: str, old: int, new: int) -> None:
    """Moves a checkpoint from `old` to `new`; must be the first statement of the transaction.

    Raises CheckpointMoved where it is not at `old` any more.
    """
    here = (checkpoints.c.projection == name) & (checkpoints.c.position == old)
    moved = update(checkpoints).where(here).values(position=new, failure=None)
    if connection.execute(moved).rowcount != 1:
        raise CheckpointMoved(f"the checkpoint of {name!r} is not at {old} any more")


def note_failure(connection: Connection, name: str, position: int, failure: str) -> None:
    """Notes why a projection does not get past `position`, for everybody to see."""
    here = (checkpoints.c.projection == name) & (checkpoints.c.position == position)
    connection.execute(update(checkpoints).where(here).values(failure=failure))


def take_over(connection: Connection, name: str, heir: str) -> bool:
    """Gives the checkpoint of one projection to another; whether there was one.

    Must be the first statement of its transaction: of several that try, one does.
    """
    mine = checkpoints.c.projection == name
    # It writes before it reads, which holds off all others from here on.
    if connection.execute(update(checkpoints).where(mine).values(failure=None)).rowcount != 1:
        return False
    found, before = read(connection, name), read(connection, heir)
    assert found is not None
    connection.execute(delete(checkpoints).where(mine))
    put(connection, heir, found._replace(pruned_before=before and before.pruned_before))
    return True


def put(connection: Connection, name: str, checkpoint: Checkpoint) -> None:
    """Sets a checkpoint whatever it was."""
    values = checkpoint._asdict()
    connection.execute(
        _insert(connection)
        .values(projection=name, **values)
        .on_conflict_do_update(index_elements=["projection"], set_=values)
    )


def pruned_before(connection: Connection) -> datetime | None:
    """Runs that ended before this moment are in no table; None where none were pruned."""
    return connection.execute(select(func.max(checkpoints.c.pruned_before))).scalar()


def check_behind(checkpoint: Checkpoint, last_position: int) -> None:
    """Raises ViewsError where the tables hold events that the event store has not."""
    if checkpoint.position > last_position:
        raise ViewsError(
            f"the views are ahead of the event store (at position {checkpoint.position}, its "
            f"last is {last_position}): it was restored or replaced; run `runfold rebuild --all`"
        )


def _insert(connection: Connection) -> sqlite.Insert | postgresql.Insert:
    """An insert that knows what to do about a conflict, which each database says its own way."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(checkpoints)
    return postgresql.insert(checkpoints)
