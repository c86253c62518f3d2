"""Projections whose rows belong to one run each, and their batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Table

from projections.database.run_deletion import delete_rows
from projections.database.upsert import insert, upsert
from projections.folding.batch_fold import BatchFold, FoldedRun
from projections.projectors.own_batch import OwnBatch
from projections.projectors.own_table import OwnTableProjection
from projections.projectors.projection import Batch, FoldedBatch, Target
from projections.projectors.run_history import RunHistory
from projections.projectors.table_values import ValueConverter


class RowProjection(OwnTableProjection):
    """A table of your own with rows of single runs: subclass it, and write `rows`.

    `table` is a SQLAlchemy table whose primary key has `run_key` and as many other columns as the
    rows of one run need. `rows` is a function of the history alone: no clock, no chance, no input
    or output. If it shall give other rows than before, raise `version`: the table is then rebuilt
    beside the old rows. With `is_priced` it may ask for `run.cost`.
    """

    @abstractmethod
    def rows(self, run: RunHistory) -> Iterable[Mapping[str, object]]:
        """Returns the rows of a run by the names of their columns, without `run_key`.

        Columns that are left out are NULL. No two rows of a run have the same key.
        """

    def start_batch(self, fold: BatchFold) -> Batch:
        """Returns an empty batch."""
        return _OwnRowBatch(fold, self)


class RowBatch(FoldedBatch, ABC):
    """The rows of the runs of one batch, for one table."""

    table: Table

    @abstractmethod
    def rows_of(self, run: FoldedRun) -> Iterable[list[Any]]:
        """Returns the rows of a run, as `upsert` takes them."""

    def may_leave_rows(self, run: FoldedRun) -> bool:
        """True if earlier batches may have written rows of a run that it has no longer."""
        return False

    def write(self, connection: Connection, target: Target) -> None:
        """Writes the rows of each run; deletes those that it has no longer."""
        table = target(self.table)
        new: list[list[Any]] = []
        known: list[list[Any]] = []
        left: list[str] = []
        for run in self.fold.unpruned_runs():
            if self.may_leave_rows(run):
                left.append(run.key)
            (new if run.is_new else known).extend(self.rows_of(run))
        delete_rows(connection, table, left)
        insert(connection, table, new)
        upsert(connection, table, known)


class _OwnRowBatch(OwnBatch[list[list[Any]]], RowBatch):
    """The rows of one batch of a projection of the application."""

    def __init__(self, fold: BatchFold, projection: RowProjection) -> None:
        super().__init__(fold, projection.prices)
        self.table = projection.table
        self._projection = projection

    def write(self, connection: Connection, target: Target) -> None:
        """Writes the rows of each run. Raises RunsRefused for those that the function refused."""
        converter = ValueConverter(self.table, connection.dialect)
        rows = self._projection.rows

        def make(run: FoldedRun) -> list[list[Any]]:
            return converter.rows(run.key, rows(self.history(run)))

        self.make_all(list(self.fold.unpruned_runs()), make)
        super().write(connection, target)

    def rows_of(self, run: FoldedRun) -> Iterable[list[Any]]:
        """Returns copies, since a batch may be written again in parts."""
        return [list(row) for row in self.made[run.key]]

    def may_leave_rows(self, run: FoldedRun) -> bool:
        """True for a run with rows of earlier batches."""
        return not run.is_new
