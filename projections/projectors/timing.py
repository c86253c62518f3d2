"""The projection `timing`: keeps the tables `timing_buckets` and `timing_totals`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, and_, delete

from projections.database.schema import timing_buckets, timing_totals
from projections.database.upsert import add
from projections.folding.batch_fold import BatchFold
from projections.folding.rollups import Key, add_counts, sum_over_time, timing_changes
from projections.projectors.projection import FoldedBatch, Target
from projections.projectors.rollup_rows import is_row, join_keys

COUNTS = ("count", "at_least_count", "at_most_count")


class TimingProjection:
    """Histograms of the durations of ended runs, which late events make more exact."""

    name = "timing"
    version = 1
    settings = None
    tables: Sequence[Table] = (timing_buckets, timing_totals)

    def start_batch(self, fold: BatchFold) -> TimingBatch:
        """Returns an empty batch."""
        return TimingBatch(fold)


class TimingBatch(FoldedBatch):
    """The durations of the runs of one batch."""

    def write(self, connection: Connection, target: Target) -> None:
        """Adds to the counts, and deletes those that become zero."""
        changes = timing_changes(self.fold.runs())
        _add(connection, target(timing_buckets), join_keys(changes))
        _add(connection, target(timing_totals), sum_over_time(changes, add_counts))


def _add(connection: Connection, table: Table, changes: Mapping[Key, Sequence[Any]]) -> None:
    add(connection, table, [[*key, *counts] for key, counts in changes.items() if any(counts)])
    is_empty = and_(*(table.c[name] == 0 for name in COUNTS))
    for key, counts in changes.items():
        if min(counts) < 0:
            connection.execute(delete(table).where(is_row(table, key), is_empty))
