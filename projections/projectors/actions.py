"""The projection `actions`: keeps the table `run_actions` in step with the events."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table

from projections.database.run_deletion import delete_rows
from projections.database.schema import run_actions
from projections.database.upsert import upsert
from projections.folding.actions import action_rows
from projections.folding.batch_fold import BatchFold
from projections.projectors.projection import FoldedBatch, Target


class ActionsProjection:
    """The calls that runs waited for: a batch writes those of each run that it changed."""

    name = "actions"
    version = 1
    settings = None
    tables: Sequence[Table] = (run_actions,)

    def start_batch(self, fold: BatchFold) -> ActionsBatch:
        """Returns an empty batch."""
        return ActionsBatch(fold)


class ActionsBatch(FoldedBatch):
    """The actions of the runs of one batch."""

    def write(self, connection: Connection, target: Target) -> None:
        """Writes the actions; deletes the old ones where pauses may have other numbers now."""
        table = target(run_actions)
        runs = [it for it in self.fold.unpruned_runs() if it.has_moved_pauses or it.measured.pauses]
        delete_rows(connection, table, [it.key for it in runs if it.has_moved_pauses])
        rows = [row for it in runs for row in action_rows(it.key, it.measured)]
        upsert(connection, table, rows)
