"""The projection `runs`: keeps the table of that name in step with the events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Table

from projections.database.schema import runs
from projections.folding.batch_fold import BatchFold, FoldedRun
from projections.projectors.row_projection import RowBatch


class RunsProjection:
    """The rows of runs: a batch writes that of each run that it changed."""

    name = "runs"
    version = 1
    is_own = False
    settings = None
    tables: Sequence[Table] = (runs,)

    def start_batch(self, fold: BatchFold) -> RunsBatch:
        """Returns an empty batch."""
        return RunsBatch(fold)


class RunsBatch(RowBatch):
    """The rows of one batch."""

    table = runs

    def rows_of(self, run: FoldedRun) -> Iterable[list[Any]]:
        """Returns the row of a run."""
        return [list(run.values)]
