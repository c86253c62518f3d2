"""The tables beside the events that name streams, whose rows are forgotten with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

UNDELIVERED = "runfold_undelivered"
TOOL_CALLS = "runfold_tool_calls"


def exists(cursor: Any, placeholder: str, table: str) -> bool:
    """True if a database has a table, in the schema that is in use."""
    if placeholder == "%s":
        cursor.execute("SELECT to_regclass(quote_ident(%s)) AS found", (table,))
    else:
        cursor.execute("SELECT name AS found FROM sqlite_master WHERE name = ?", (table,))
    row = cursor.fetchone()
    return row is not None and row["found"] is not None


def forget_rows(cursor: Any, placeholder: str, streams: Sequence[str]) -> None:
    """Deletes the rows of streams from the tables that exist."""
    for table in (UNDELIVERED, TOOL_CALLS):
        if exists(cursor, placeholder, table):
            statement = f"DELETE FROM {table} WHERE stream = {placeholder}"
            cursor.executemany(statement, [(stream,) for stream in streams])
