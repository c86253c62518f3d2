"""Deletes the rows of runs from every table of runs."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table, delete

from projections.database.schema import SHADOW_PREFIX

# Of one transaction: other writers wait for a few hundredths of a second.
RUNS_PER_BATCH = 1000
# Without `run_costs`: its rows are small, and a late correction needs the earlier cost.
_PRUNED_TABLES = frozenset(("runs", "run_phases", "run_actions", "run_steps"))


def delete_runs(connection: Connection, tables: Sequence[Table], keys: Sequence[str]) -> int:
    """Deletes the rows of these runs from the tables that pruning applies to, or their shadows."""
    return sum(delete_rows(connection, it, keys) for it in tables if is_pruned(it))


def delete_rows(connection: Connection, table: Table, keys: Sequence[str]) -> int:
    """Deletes the rows of these runs from a table; returns their number."""
    deleted = 0
    for at in range(0, len(keys), RUNS_PER_BATCH):
        rows = delete(table).where(table.c.run_key.in_(keys[at : at + RUNS_PER_BATCH]))
        deleted += connection.execute(rows).rowcount
    return deleted


def is_pruned(table: Table) -> bool:
    """True if pruning applies to the table, or to the one that it is the shadow of."""
    return table.name.removeprefix(SHADOW_PREFIX) in _PRUNED_TABLES
