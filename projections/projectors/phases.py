"""The projection `phases`: keeps the table `run_phases` in step with the events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, delete

from projections.database.schema import run_phases
from projections.database.upsert import insert, upsert
from projections.folding.batch_fold import BatchFold
from projections.folding.phases import phase_rows
from projections.projectors.projection import FoldedBatch, Target


class PhasesProjection:
    """The phases of runs: a batch writes all phases of each run that it changed."""

    name = "phases"
    version = 1
    settings = None
    tables: Sequence[Table] = (run_phases,)

    def start_batch(self, fold: BatchFold) -> PhasesBatch:
        """Returns an empty batch."""
        return PhasesBatch(fold)


class PhasesBatch(FoldedBatch):
    """The phases of the runs of one batch."""

    def write(self, connection: Connection, target: Target) -> None:
        """Writes the phases; deletes the old ones where there are fewer now."""
        table = target(run_phases)
        new: list[list[Any]] = []
        known: list[list[Any]] = []
        for run in self.fold.unpruned_runs():
            if run.has_fewer_phases:
                connection.execute(delete(table).where(table.c.run_key == run.key))
            (new if run.is_new else known).extend(phase_rows(run.key, run.measured))
        insert(connection, table, new)
        upsert(connection, table, known)
