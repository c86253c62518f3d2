"""Deletes the rows of runs from every table of runs."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table, delete

from projections.database.schema import SHADOW_PREFIX

# In one transaction: a writer waits for some hundredths of a second.
BATCH = 1000
# What is kept of a run for the sums of its costs is not among them: it is small, and what a late
# correction is reckoned from.
_OF_RUNS = frozenset(("runs", "run_phases", "run_actions", "run_steps"))


def delete_runs(connection: Connection, tables: Sequence[Table], keys: Sequence[str]) -> int:
    """Deletes the rows of these runs from those of the tables that are pruned, or their shadows."""
    return sum(_delete(connection, it, keys) for it in tables if _is_pruned(it))


def _delete(connection: Connection, table: Table, keys: Sequence[str]) -> int:
    deleted = 0
    for at in range(0, len(keys), BATCH):
        rows = delete(table).where(table.c.run_key.in_(keys[at : at + BATCH]))
        deleted += connection.execute(rows).rowcount
    return deleted


def _is_pruned(table: Table) -> bool:
    return table.name.removeprefix(SHADOW_PREFIX) in _OF_RUNS
