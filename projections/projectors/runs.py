"""The projection `runs`: keeps the table of that name in step with the events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table

from projections.database.schema import runs
from projections.database.upsert import insert, upsert
from projections.folding.batch_fold import BatchFold
from projections.projectors.projection import FoldedBatch, Target


class RunsProjection:
    """The rows of runs: a batch writes that of each run that it changed."""

    name = "runs"
    version = 1
    settings = None
    tables: Sequence[Table] = (runs,)

    def start_batch(self, fold: BatchFold) -> RunsBatch:
        """Returns an empty batch."""
        return RunsBatch(fold)


class RunsBatch(FoldedBatch):
    """The rows of one batch."""

    def write(self, connection: Connection, target: Target) -> None:
        """Writes the row of each run."""
        new: list[list[Any]] = []
        known: list[list[Any]] = []
        for run in self.fold.unpruned_runs():
            (new if run.is_new else known).append(list(run.values))
        insert(connection, target(runs), new)
        upsert(connection, target(runs), known)
