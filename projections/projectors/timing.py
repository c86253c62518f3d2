"""The projection `timing`: keeps the tables `timing_buckets` and `timing_totals`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import add as plus

from sqlalchemy import Connection, Table, delete

from projections.database.schema import timing_buckets, timing_totals
from projections.database.upsert import add
from projections.folding.batch_fold import BatchFold
from projections.folding.rollups import Key, sum_over_time, timing_changes
from projections.projectors.projection import FoldedBatch, Target
from projections.projectors.rollup_rows import is_row, join_keys


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
        _add(connection, target(timing_totals), sum_over_time(changes, plus))


def _add(connection: Connection, table: Table, changes: Mapping[Key, int]) -> None:
    add(connection, table, [[*key, count] for key, count in changes.items() if count])
    for key, count in changes.items():
        if count < 0:
            connection.execute(delete(table).where(is_row(table, key), table.c.count == 0))
