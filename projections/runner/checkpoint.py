"""The checkpoint of a projection: the position that its tables have reached.

A checkpoint is advanced in the transaction that writes the rows, by a compare-and-set as its first
statement. Of two runners that read the same batch, the second one changes nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, Engine, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

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
        values = {
            "projection": projection.name,
            "position": 0,
            "version": projection.version,
            "settings": projection.settings,
        }
        with engine.begin() as connection:
            connection.execute(_insert(connection).values(values).on_conflict_do_nothing())
        with engine.connect() as connection:
            found = read_checkpoint(connection, projection.name)
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
            "they belong to a newer release; use that one"
        )
    check_settings(projection, found)
    return found


def check_settings(projection: Projection, checkpoint: Checkpoint | None) -> None:
    """Raises PricesDiffer where the rows of a projection depend on other settings."""
    if checkpoint is not None and checkpoint.settings != projection.settings:
        error = PricesDiffer(describe_other_prices(checkpoint.settings, projection.settings))
        error.projections = (projection.name,)
        raise error


def describe_other_prices(kept: str | None, ours: str | None) -> str:
    """Describes the settings of the prices of a database and of a process, and what helps."""
    kept, ours = (f"with the settings {it}" if it else "without settings" for it in (kept, ours))
    return (
        f"the costs of this database are priced {kept}, and those of this process are {ours}: "
        "use the same, as `Views(prices=Prices(…))` or `--prices FILE`, or price all runs again "
        "with `runfold rebuild costs --reprice` or `Views.rebuild('costs', reprice=True)`"
    )


def advance_checkpoint(
    connection: Connection, name: str, old: int, new: int, settings: str | None = None
) -> None:
    """Moves a checkpoint from `old` to `new`; must be the first statement of the transaction.

    Raises CheckpointMoved where it is not at `old` any more, or its rows depend on other settings.
    """
    here = (checkpoints.c.projection == name) & (checkpoints.c.position == old)
    here &= checkpoints.c.settings.is_not_distinct_from(settings)
    moved = update(checkpoints).where(here).values(position=new, failure=None)
    if connection.execute(moved).rowcount != 1:
        raise CheckpointMoved(f"the checkpoint of {name!r} is not at {old} any more")


def record_failure(connection: Connection, name: str, position: int, failure: str) -> None:
    """Records why a projection cannot write its tables after `position`."""
    here = (checkpoints.c.projection == name) & (checkpoints.c.position == position)
    connection.execute(update(checkpoints).where(here).values(failure=failure))


def lock_checkpoint(connection: Connection, name: str) -> Checkpoint | None:
    """Returns the checkpoint of a projection, which nobody else can move from here on.

    Must be the first statement of its transaction: it writes before it reads, so that all other
    writers wait. Returns None if there is none.
    """
    here = checkpoints.c.projection == name
    if connection.execute(update(checkpoints).where(here).values(failure=None)).rowcount != 1:
        return None
    return read_checkpoint(connection, name)


def transfer_checkpoint(connection: Connection, name: str, receiver: str) -> None:
    """Moves the checkpoint of a projection, which is locked, to another one."""
    found, before = read_checkpoint(connection, name), read_checkpoint(connection, receiver)
    assert found is not None
    connection.execute(delete(checkpoints).where(checkpoints.c.projection == name))
    pruned_before = before and before.pruned_before
    set_checkpoint(connection, receiver, found._replace(pruned_before=pruned_before))


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


def _insert(connection: Connection) -> sqlite.Insert | postgresql.Insert:
    """Returns an insert with the conflict clauses of the database."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(checkpoints)
    return postgresql.insert(checkpoints)
