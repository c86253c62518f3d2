"""The projection `timing`: keeps the tables `timing_buckets` and `timing_totals`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Table

from projections.database.schema import timing_buckets, timing_totals
from projections.folding.batch_fold import BatchFold
from projections.folding.rollups import add_counts, sum_over_time, timing_changes
from projections.projectors.rollup_rows import join_keys
from projections.projectors.sum_projection import Changes, SumBatch


class TimingProjection:
    """Histograms of the durations of ended runs, which late events make more exact."""

    name = "timing"
    version = 1
    is_own = False
    settings = None
    tables: Sequence[Table] = (timing_buckets, timing_totals)

    def start_batch(self, fold: BatchFold) -> TimingBatch:
        """Returns an empty batch."""
        return TimingBatch(fold)


class TimingBatch(SumBatch):
    """The durations of the runs of one batch."""

    def changes(self) -> Iterator[tuple[Table, Changes]]:
        """Yields both tables with the changes of their counts."""
        changes = timing_changes(self.fold.runs())
        yield timing_buckets, join_keys(changes)
        yield timing_totals, sum_over_time(changes, add_counts)
