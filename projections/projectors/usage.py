"""The projection `usage`: keeps the tables `usage_hourly` and `usage_totals`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Table, case, delete, update

from projections.database.schema import usage_hourly, usage_totals
from projections.database.upsert import add
from projections.folding.batch_fold import BatchFold
from projections.folding.rollups import Key, add_counts, sum_over_time, usage_changes
from projections.projectors.projection import FoldedBatch, Target
from projections.projectors.rollup_rows import is_row, join_keys
from tracker.core.usage import TOKEN_COUNTS


class UsageProjection:
    """Sums of the usage of ended runs; what is told later moves them by the difference."""

    name = "usage"
    version = 1
    settings = None
    tables: Sequence[Table] = (usage_hourly, usage_totals)

    def start_batch(self, fold: BatchFold) -> UsageBatch:
        """Returns an empty batch."""
        return UsageBatch(fold)


class UsageBatch(FoldedBatch):
    """The usage of the runs of one batch."""

    def write(self, connection: Connection, target: Target) -> None:
        """Adds to the sums; those that no run is left in become NULL or are removed."""
        changes = usage_changes(self.fold.runs())
        _add(connection, target(usage_hourly), join_keys(changes))
        _add(connection, target(usage_totals), sum_over_time(changes, add_counts))


def _add(connection: Connection, table: Table, changes: Mapping[Key, Sequence[int | None]]) -> None:
    add(connection, table, [[*key, *added] for key, added in changes.items() if any(added)])
    columns = table.c
    for key, added in changes.items():
        if not any(it is not None and it < 0 for it in (added[0], *added[-len(TOKEN_COUNTS) :])):
            continue
        known = {
            name: case((columns[f"_{name}_runs"] == 0, None), else_=columns[name])
            for name in TOKEN_COUNTS
        }
        connection.execute(update(table).where(is_row(table, key)).values(known))
        connection.execute(delete(table).where(is_row(table, key), columns.runs == 0))
