"""Shadow tables: copies of the public ones that a rebuild fills beside them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import Connection, MetaData, Table, text

from projections.database.catalog import column_names, has_table
from projections.database.schema import SHADOW_PREFIX, SHADOW_SUFFIX
from projections.database.upsert import quoted
from projections.folding.batch_fold import BatchFold
from projections.projectors.projection import Batch, Projection, Target
from tracker.event_store.store import RecordedEvent

# Triggers last: the order in which they were made is the order in which they run.
_OF_TABLE = text(
    "SELECT sql FROM sqlite_master WHERE lower(tbl_name) = :table AND type IN ('index', 'trigger') "
    "AND sql IS NOT NULL ORDER BY type, rowid"
)


class ShadowProjection:
    """A projection that writes to the shadows of its tables, with a checkpoint of its own."""

    def __init__(self, projection: Projection) -> None:
        self.projection = projection
        self.name = projection.name + SHADOW_SUFFIX
        self.version, self.settings = projection.version, projection.settings
        self.is_own = projection.is_own
        self.tables: Sequence[Table] = [shadow_of(table) for table in projection.tables]

    def start_batch(self, fold: BatchFold) -> Batch:
        """Returns an empty batch."""
        return _ShadowBatch(self.projection.start_batch(fold))


class _ShadowBatch:
    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    @property
    def held_bytes(self) -> int:
        return self._batch.held_bytes

    def add_page(self, page: Sequence[RecordedEvent]) -> None:
        self._batch.add_page(page)

    def write(self, connection: Connection, target: Target) -> None:
        self._batch.write(connection, shadow_of)


@lru_cache
def shadow_of(table: Table) -> Table:
    """Returns the shadow of a table, without its indexes, which only readers need."""
    # Each in metadata of its own: two versions of a table of an application have one name.
    shadow = table.to_metadata(MetaData(), name=SHADOW_PREFIX + table.name)
    shadow.indexes.clear()
    for constraint in shadow.constraints:
        # That of the table has the name, which may be one of the whole schema.
        constraint.name = None
    return shadow


def create_shadows(connection: Connection, tables: Sequence[Table]) -> None:
    """Creates empty shadows, and drops existing ones."""
    for table in tables:
        shadow = shadow_of(table)
        if has_table(connection, shadow.name):
            connection.exec_driver_sql(f"DROP TABLE {quoted(shadow.name)}")
        shadow.create(connection, checkfirst=False)


def swap_in(connection: Connection, table: Table) -> None:
    """Replaces the rows of a table with those of its shadow, in the current transaction.

    On SQLite the shadow becomes the table, which keeps the lock short, and gets its indexes and
    triggers, those of the user among them. On PostgreSQL the rows are copied: the table keeps its
    grants and dependent views, and readers at any isolation level see either the old rows or the
    new ones. A table of an application whose columns are others than before is made again.
    """
    shadow = shadow_of(table)
    old, new = quoted(table.name), quoted(shadow.name)
    if column_names(connection, table.name) != set(table.columns.keys()):
        _replace(connection, old, new)
        for index in table.indexes:
            index.create(connection)
        return
    if connection.dialect.name != "sqlite":
        names = ", ".join(quoted(column.name) for column in table.columns)
        connection.exec_driver_sql(f"DELETE FROM {old}")
        connection.exec_driver_sql(f"INSERT INTO {old} ({names}) SELECT {names} FROM {new}")
        connection.exec_driver_sql(f"DROP TABLE {new}")
        return
    own = {"table": table.name.lower()}
    indexes_and_triggers = connection.execute(_OF_TABLE, own).scalars().all()
    _replace(connection, old, new)
    for statement in indexes_and_triggers:
        connection.exec_driver_sql(statement)


def _replace(connection: Connection, old: str, new: str) -> None:
    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite:
        # Without it, the rename fails on views that refer to the dropped table.
        connection.exec_driver_sql("PRAGMA legacy_alter_table=ON")
    connection.exec_driver_sql(f"DROP TABLE {old}")
    connection.exec_driver_sql(f"ALTER TABLE {new} RENAME TO {old}")
    if is_sqlite:
        connection.exec_driver_sql("PRAGMA legacy_alter_table=OFF")
