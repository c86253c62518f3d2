"""Shadows: tables like the public ones, for a projection that is made again beside them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import Connection, MetaData, Table
from sqlalchemy.schema import CreateIndex

from projections.database.schema import SHADOW_PREFIX, SHADOW_SUFFIX
from projections.folding.batch_fold import BatchFold
from projections.projectors.projection import Batch, Projection, Target
from tracker.event_store.store import RecordedEvent

_metadata = MetaData()


class Shadowed:
    """A projection that writes to the shadows of its tables, under a checkpoint of their own."""

    def __init__(self, projection: Projection) -> None:
        self.projection = projection
        self.name = projection.name + SHADOW_SUFFIX
        self.version = projection.version
        self.tables: Sequence[Table] = [shadow_of(table) for table in projection.tables]

    def begin(self, fold: BatchFold) -> Batch:
        """An empty batch."""
        return _ShadowedBatch(self.projection.begin(fold))


class _ShadowedBatch:
    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    @property
    def weight(self) -> int:
        return self._batch.weight

    def take(self, page: Sequence[RecordedEvent]) -> None:
        self._batch.take(page)

    def write(self, connection: Connection, target: Target) -> None:
        self._batch.write(connection, shadow_of)


@lru_cache
def shadow_of(table: Table) -> Table:
    """The shadow of a table, without its indexes, which only readers need."""
    shadow = table.to_metadata(_metadata, name=SHADOW_PREFIX + table.name)
    shadow.indexes.clear()
    return shadow


def create(connection: Connection, tables: Sequence[Table]) -> None:
    """Makes empty shadows, in place of those that are there."""
    for table in tables:
        shadow = shadow_of(table)
        shadow.drop(connection, checkfirst=True)
        shadow.create(connection)


def swap(connection: Connection, table: Table) -> None:
    """Puts the rows of the shadow in place of the table's, in the transaction that runs.

    On SQLite the shadow becomes the table, so that the lock is short. On PostgreSQL the rows
    move: the table keeps its grants and the views that others made of it, and readers of any
    isolation see the old rows or the new ones.
    """
    shadow = shadow_of(table)
    if connection.dialect.name != "sqlite":
        names = ", ".join(column.name for column in table.columns)
        connection.exec_driver_sql(f"DELETE FROM {table.name}")
        connection.exec_driver_sql(
            f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {shadow.name}"
        )
        connection.exec_driver_sql(f"DROP TABLE {shadow.name}")
        return
    # Without it, views of the table would have to be dropped for as long as it has no name.
    connection.exec_driver_sql("PRAGMA legacy_alter_table=ON")
    connection.exec_driver_sql(f"DROP TABLE {table.name}")
    connection.exec_driver_sql(f"ALTER TABLE {shadow.name} RENAME TO {table.name}")
    connection.exec_driver_sql("PRAGMA legacy_alter_table=OFF")
    for index in table.indexes:
        connection.execute(CreateIndex(index))
