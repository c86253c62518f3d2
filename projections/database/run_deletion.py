"""Deletes the rows of runs from every table of runs."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Connection, Table

from projections.database.schema import SHADOW_PREFIX
from projections.database.upsert import quoted

# Of one transaction: other writers wait for a few hundredths of a second.
RUNS_PER_BATCH = 1000
_IS_ONE_OF = {"sqlite": "IN (SELECT value FROM json_each(?))", "postgresql": "= ANY(%s)"}
# Their rows are small, and a late correction needs the earlier cost.
_KEPT_TABLES = frozenset(("run_costs",))


def delete_runs(connection: Connection, tables: Sequence[Table], keys: Sequence[str]) -> int:
    """Deletes the rows of these runs from the tables that pruning applies to, or their shadows."""
    return sum(delete_rows(connection, it, keys) for it in tables if is_pruned(it))


def delete_rows(connection: Connection, table: Table, keys: Sequence[str]) -> int:
    """Deletes the rows of these runs from a table; returns their number."""
    if not keys:
        return 0
    dialect = connection.dialect.name
    # One parameter: to compile a thousand of them takes longer than to delete.
    parameter: object = json.dumps(list(keys)) if dialect == "sqlite" else list(keys)
    statement = f"DELETE FROM {quoted(table.name)} WHERE run_key {_IS_ONE_OF[dialect]}"
    return connection.exec_driver_sql(statement, (parameter,)).rowcount


def is_pruned(table: Table) -> bool:
    """True if pruning applies to the table, or to the one that it is the shadow of."""
    name = table.name.removeprefix(SHADOW_PREFIX)
    return "run_key" in table.c and name not in _KEPT_TABLES
