"""The projection `usage`: keeps the tables `usage_hourly` and `usage_totals`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, Table, case, delete, update

from projections.database.schema import usage_hourly, usage_totals
from projections.database.upsert import add
from projections.folding.batch_fold import BatchFold
from projections.folding.rollups import add_counts, sum_over_time, usage_changes
from projections.projectors.rollup_rows import is_row, join_keys
from projections.projectors.sum_projection import Changes, SumBatch
from tracker.core.usage import TOKEN_COUNTS


class UsageProjection:
    """Sums of the usage of ended runs; what is told later moves them by the difference."""

    name = "usage"
    version = 1
    is_own = False
    settings = None
    tables: Sequence[Table] = (usage_hourly, usage_totals)

    def start_batch(self, fold: BatchFold) -> UsageBatch:
        """Returns an empty batch."""
        return UsageBatch(fold)


class UsageBatch(SumBatch):
    """The usage of the runs of one batch."""

    def changes(self) -> Iterator[tuple[Table, Changes]]:
        """Yields both tables with the changes of their sums."""
        changes = usage_changes(self.fold.runs())
        yield usage_hourly, join_keys(changes)
        yield usage_totals, sum_over_time(changes, add_counts)

    def apply(self, connection: Connection, table: Table, changes: Changes) -> None:
        """Adds to the sums; those that no run is left in become NULL or are removed."""
        add(connection, table, [[*key, *added] for key, added in changes.items() if any(added)])
        columns = table.c
        for key, added in changes.items():
            if not any(
                it is not None and it < 0 for it in (added[0], *added[-len(TOKEN_COUNTS) :])
            ):
                continue
            known = {
                name: case((columns[f"_{name}_runs"] == 0, None), else_=columns[name])
                for name in TOKEN_COUNTS
            }
            connection.execute(update(table).where(is_row(table, key)).values(known))
            connection.execute(delete(table).where(is_row(table, key), columns.runs == 0))
