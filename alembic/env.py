"""Entry point of Alembic: migrates over a given connection, or a URL."""

from __future__ import annotations

from sqlalchemy import Connection

from alembic import context
from projections.database.catalog import current_schema
from projections.database.engine import open_engine
from projections.database.migrations import (
    begin_exclusive,
    include_name,
    refuse_foreign_tables,
)
from projections.database.schema import VERSION_TABLE, metadata

config = context.config


def _url() -> str:
    url = context.get_x_argument(as_dictionary=True).get("db")
    url = url or config.get_main_option("sqlalchemy.url")
    if not url:
        raise SystemExit("no database given: alembic -x db=sqlite:///runfold.db upgrade head")
    return url


def _migrate(connection: Connection) -> None:
    refuse_foreign_tables(connection)
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        # Not that of another schema of the search path.
        version_table_schema=current_schema(connection),
        include_name=include_name,
    )
    with context.begin_transaction():
        context.run_migrations()


def _print_sql() -> None:
    context.configure(
        dialect_name=_url().partition(":")[0].partition("+")[0],
        literal_binds=True,
        version_table=VERSION_TABLE,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    _print_sql()
elif (given := config.attributes.get("connection")) is not None:
    _migrate(given)
else:
    engine = open_engine(_url(), create=True)
    try:
        with begin_exclusive(engine) as connection:
            _migrate(connection)
    finally:
        engine.dispose()
