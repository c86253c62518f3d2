"""The projection `runs`: keeps the table of that name in step with the events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from projections.database.schema import runs
from projections.folding.batch_fold import BatchFold, FoldedRun
from projections.projectors.row_projection import RowBatch, RowProjection


class RunsProjection(RowProjection):
    """The rows of runs: a batch writes that of each run that it changed."""

    name = "runs"
    version = 1
    table = runs
    is_own = False

    def start_batch(self, fold: BatchFold) -> RunsBatch:
        """Returns an empty batch."""
        return RunsBatch(fold)


class RunsBatch(RowBatch):
    """The rows of one batch."""

    table = runs

    def rows_of(self, run: FoldedRun) -> Iterable[list[Any]]:
        """Returns the row of a run."""
        return [list(run.values)]
