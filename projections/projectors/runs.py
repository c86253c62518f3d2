"""The projection `runs`: keeps the table of that name in step with the events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table

from projections.database.schema import runs
from projections.database.upsert import insert, upsert
from projections.folding.batch_fold import BatchFold
from projections.projectors.projection import Folded, Target


class RunsProjection:
    """Writes the row of each run that a batch changed, once."""

    name = "runs"
    version = 1
    tables: Sequence[Table] = (runs,)

    def begin(self, fold: BatchFold) -> RunsBatch:
        """An empty batch."""
        return RunsBatch(fold)


class RunsBatch(Folded):
    """The rows of one batch."""

    def write(self, connection: Connection, target: Target) -> None:
        """Writes the row of each run; one that was read with all its events stays."""
        new: list[list[Any]] = []
        known: list[list[Any]] = []
        for run in self.fold.kept_runs():
            (new if run.is_new else known).append(list(run.values))
        insert(connection, target(runs), new, guard="version")
        upsert(connection, target(runs), known, guard="version")
