"""Migrations of the tables with Alembic.

The revision is kept in a version table of our own, and Alembic sees no tables but ours.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, delete, text
from sqlalchemy.exc import OperationalError

from projections.database.catalog import (
    current_schema,
    find_taken_names,
    has_table,
    table_names,
)
from projections.database.conflicts import retry_conflicts
from projections.database.open_run_views import OPEN_RUN_VIEWS
from projections.database.schema import (
    REVISION,
    SHADOW_PREFIX,
    SHADOW_SUFFIX,
    VERSION_TABLE,
    checkpoints,
    metadata,
    set_aside,
)
from tracker.errors import SchemaError

if TYPE_CHECKING:
    from alembic.config import Config

# An advisory lock that no other program is likely to use: "runfold" in ASCII.
_LOCK = 0x72756E666F6C64
_ATTEMPTS = 50


def head() -> str:
    """Returns the newest revision that this release knows."""
    from alembic.script import ScriptDirectory

    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise SchemaError(f"no migrations at {_scripts()}: the installation is incomplete")
    return revision


def current(engine: Engine) -> str | None:
    """Returns the revision of the database; None if it has none of our tables."""
    with engine.connect() as connection:
        return _current(connection)


def upgrade(engine: Engine) -> None:
    """Migrates the tables to this release in one transaction; safe from several processes.

    Raises SchemaError if they belong to a newer release, or if other software has tables, views
    or indexes of these names; then nothing is changed.
    """
    from alembic import command

    _run(engine, lambda config: command.upgrade(config, "head"))


def refuse_foreign_tables(connection: Connection) -> None:
    """Raises SchemaError if the database has none of our tables, but others of their names."""
    if _current(connection) is not None:
        return
    indexes = (index.name for table in metadata.tables.values() for index in table.indexes)
    names = {*metadata.tables, *OPEN_RUN_VIEWS, *(str(name) for name in indexes)}
    taken = find_taken_names(connection, names)
    if not taken:
        return
    place, cure = "the database", "give runfold a file of its own"
    if connection.dialect.name != "sqlite":
        place = f"the schema {current_schema(connection)!r}"
        cure = (
            "give runfold a schema of its own with `CREATE SCHEMA runfold` and a URL that ends "
            "with ?schema=runfold"
        )
    raise SchemaError(
        f"{place} has objects of other software under names that runfold needs: "
        f"{', '.join(taken)}; nothing was changed: {cure}"
    )


def downgrade(engine: Engine, revision: str) -> None:
    """Migrates the tables back to `revision`, or removes them for `base`; the events stay."""
    from alembic import command

    _run(engine, lambda config: command.downgrade(config, revision))


def check(engine: Engine) -> None:
    """Raises SchemaError unless the tables have the revision of this release."""
    found = current(engine)
    if found == REVISION:
        return
    cure = "run `runfold upgrade --db URL` or call Views.upgrade()"
    if found is not None and found > REVISION:
        cure = "they belong to a newer release; use that one"
    raise SchemaError(
        f"the tables are at {found or 'no revision'}, this release needs {REVISION}: {cure}"
    )


def include_name(name: str | None, type_: str, parent_names: object) -> bool:
    """True if Alembic may inspect an object of the database: only our tables and their parts."""
    return type_ != "table" or name in metadata.tables


@contextmanager
def begin_exclusive(engine: Engine) -> Iterator[Connection]:
    """Yields a connection in a transaction that excludes other ones of this kind; commits it."""
    with engine.connect() as connection:
        if connection.dialect.name != "sqlite":
            with connection.begin():
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
                yield connection
            return
        # The driver's own BEGIN comes late and takes no lock, so that a migration could be partial.
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        _write_ahead(connection)
        with connection.begin():
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection


def _run(engine: Engine, action: Callable[[Config], object]) -> None:
    retry_conflicts(lambda: _run_once(engine, action))


def _run_once(engine: Engine, action: Callable[[Config], object]) -> None:
    from alembic.util import CommandError

    with begin_exclusive(engine) as connection:
        config = _config()
        config.attributes["connection"] = connection
        before = _current(connection)
        try:
            action(config)
        except CommandError as error:
            raise SchemaError(
                f"the tables are at {_current(connection)}, which this release (at {REVISION}) "
                "does not know: they belong to a newer release; use that one"
            ) from error

        if _current(connection) != before:
            _drop_shadows(connection)


def _drop_shadows(connection: Connection) -> None:
    """Drops unfinished rebuilds, whose tables have other columns."""
    names = table_names(connection)
    for name in names:
        if name.startswith(SHADOW_PREFIX):
            connection.exec_driver_sql(f"DROP TABLE {name}")
    if checkpoints.name in names:
        is_shadow = checkpoints.c.projection.endswith(SHADOW_SUFFIX)
        connection.execute(delete(checkpoints).where(is_shadow))
    if set_aside.name in names:
        of_shadow = set_aside.c.projection.endswith(SHADOW_SUFFIX)
        connection.execute(delete(set_aside).where(of_shadow))


def _current(connection: Connection) -> str | None:
    if not has_table(connection, VERSION_TABLE):
        return None
    found = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()
    return None if found is None else str(found)


def _write_ahead(connection: Connection) -> None:
    """Turns on write-ahead logging, in which readers do not wait for a writer.

    SQLite stores the mode in the file.
    """
    for _ in range(_ATTEMPTS):
        try:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL").close()
        except OperationalError as error:
            # Changing the mode does not wait for other connections, whatever the timeout.
            if "locked" not in str(error.orig):
                raise
            time.sleep(0.1)
        else:
            break
        finally:
            connection.rollback()


def _config() -> Config:
    from alembic.config import Config

    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    return config


def _scripts() -> Path:
    here = Path(__file__).resolve().parents[1]
    packed = here / "_alembic"
    return packed if packed.is_dir() else here.parent / "alembic"
