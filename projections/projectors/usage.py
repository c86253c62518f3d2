"""The projection `usage`: keeps the tables `usage_hourly` and `usage_totals`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table

from projections.database.schema import usage_hourly, usage_totals
from projections.database.upsert import add
from projections.folding.batch_fold import BatchFold
from projections.folding.rollups import plus_usage, totals, usage_changes
from projections.projectors.projection import Folded, Target


class UsageProjection:
    """Adds up the usage of ended runs, and the difference where it is corrected later."""

    name = "usage"
    version = 1
    tables: Sequence[Table] = (usage_hourly, usage_totals)

    def begin(self, fold: BatchFold) -> UsageBatch:
        """An empty batch."""
        return UsageBatch(fold)


class UsageBatch(Folded):
    """The usage of the runs of one batch."""

    def write(self, connection: Connection, target: Target) -> None:
        """Adds it to the sums that are there."""
        changes = usage_changes(self.fold.runs())
        hourly = [[*time, *kind, *added] for (time, kind), added in changes.items()]
        add(connection, target(usage_hourly), hourly)
        kinds = totals(changes, plus_usage)
        add(connection, target(usage_totals), [[*kind, *added] for kind, added in kinds.items()])
