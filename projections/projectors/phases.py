"""The projection `phases`: keeps the table `run_phases` in step with the events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, delete

from projections.database.schema import run_phases
from projections.database.upsert import insert, upsert
from projections.folding.batch_fold import BatchFold
from projections.folding.phases import phase_values
from projections.projectors.projection import Folded, Target
from tracker.core.status import ENDED


class PhasesProjection:
    """Writes all phases of each run that a batch changed."""

    name = "phases"
    version = 1
    tables: Sequence[Table] = (run_phases,)

    def begin(self, fold: BatchFold) -> PhasesBatch:
        """An empty batch."""
        return PhasesBatch(fold)


class PhasesBatch(Folded):
    """The phases of the runs of one batch."""

    def write(self, connection: Connection, target: Target) -> None:
        """Writes them; with what steps tell, there may be fewer than before."""
        table = target(run_phases)
        new: list[list[Any]] = []
        known: list[list[Any]] = []
        for run in self.fold.kept_runs():
            if run.has_fewer_stays:
                connection.execute(delete(table).where(table.c.run_key == run.key))
            for seq, stay in enumerate(run.stays, 1):
                if stay.status not in ENDED:
                    (new if run.is_new else known).append(phase_values(run.key, seq, stay))
        insert(connection, table, new)
        upsert(connection, table, known)
