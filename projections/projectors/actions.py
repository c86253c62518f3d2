"""The projection `actions`: keeps the table `run_actions` in step with the events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Table

from projections.database.schema import run_actions
from projections.folding.actions import action_rows
from projections.folding.batch_fold import BatchFold, FoldedRun
from projections.projectors.row_projection import RowBatch


class ActionsProjection:
    """The calls that runs waited for: a batch writes those of each run that it changed."""

    name = "actions"
    version = 1
    is_own = False
    settings = None
    tables: Sequence[Table] = (run_actions,)

    def start_batch(self, fold: BatchFold) -> ActionsBatch:
        """Returns an empty batch."""
        return ActionsBatch(fold)


class ActionsBatch(RowBatch):
    """The actions of the runs of one batch."""

    table = run_actions

    def rows_of(self, run: FoldedRun) -> Iterable[list[Any]]:
        """Returns the actions of a run."""
        return action_rows(run.key, run.measured) if run.measured.pauses else ()

    def may_leave_rows(self, run: FoldedRun) -> bool:
        """True if its pauses may have other numbers than before."""
        return run.has_moved_pauses
