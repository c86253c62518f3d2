"""The projection `usage`: keeps the tables `usage_hourly` and `usage_totals`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table

from projections.database.schema import usage_hourly, usage_totals
from projections.database.upsert import add
from projections.folding.batch_fold import BatchFold
from projections.folding.rollups import add_counts, sum_over_time, usage_changes
from projections.projectors.projection import FoldedBatch, Target
from projections.projectors.rollup_rows import join_keys


class UsageProjection:
    """Sums of the usage of ended runs; a correction adds the difference."""

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
        """Adds to the sums."""
        changes = usage_changes(self.fold.runs())
        hourly, sums = join_keys(changes), sum_over_time(changes, add_counts)
        add(connection, target(usage_hourly), [[*key, *it] for key, it in hourly.items()])
        add(connection, target(usage_totals), [[*key, *it] for key, it in sums.items()])
