"""Plans of PostgreSQL that its estimates would not choose."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError


@contextmanager
def without(connection: Connection, *settings: str) -> Iterator[None]:
    """Turns settings of the planner off for the statements of a block, on PostgreSQL.

    They are as before it at its end, since the transaction may go on with other questions.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    read = ", ".join(f"current_setting('{it}')" for it in settings)
    before = connection.exec_driver_sql(f"SELECT {read}").one()
    for it in settings:
        connection.exec_driver_sql(f"SET LOCAL {it} = off")
    try:
        yield
    finally:
        # A transaction that failed takes no statement, and its settings end with it.
        with suppress(SQLAlchemyError):
            for it, value in zip(settings, before, strict=True):
                connection.exec_driver_sql(f"SET LOCAL {it} = {value}")
