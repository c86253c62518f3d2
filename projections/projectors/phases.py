"""The projection `phases`: keeps the table `run_phases` in step with the events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Table

from projections.database.schema import run_phases
from projections.folding.batch_fold import BatchFold, FoldedRun
from projections.folding.phases import phase_rows
from projections.projectors.row_projection import RowBatch


class PhasesProjection:
    """The phases of runs: a batch writes all phases of each run that it changed."""

    name = "phases"
    version = 1
    is_own = False
    settings = None
    tables: Sequence[Table] = (run_phases,)

    def start_batch(self, fold: BatchFold) -> PhasesBatch:
        """Returns an empty batch."""
        return PhasesBatch(fold)


class PhasesBatch(RowBatch):
    """The phases of the runs of one batch."""

    table = run_phases

    def rows_of(self, run: FoldedRun) -> Iterable[list[Any]]:
        """Returns the phases of a run."""
        return phase_rows(run.key, run.measured)

    def may_leave_rows(self, run: FoldedRun) -> bool:
        """True if the run has fewer phases than before."""
        return run.has_fewer_phases
