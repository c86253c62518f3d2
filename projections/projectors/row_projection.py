"""Projections whose rows belong to one run each, and their batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table

from projections.database.run_deletion import delete_rows
from projections.database.upsert import insert, upsert
from projections.folding.batch_fold import BatchFold, FoldedRun
from projections.folding.rates import PriceList
from projections.projectors.own_batch import OwnRuns, price_settings
from projections.projectors.projection import Batch, FoldedBatch, Target
from projections.projectors.run_history import RunHistory
from projections.projectors.table_values import ValueConverter


class RowProjection:
    """A table of your own with rows of single runs: subclass it, and write `rows`.

    `table` is a SQLAlchemy table whose primary key has `run_key` and as many other columns as the
    rows of one run need. `rows` is a function of the history alone: no clock, no chance, no input
    or output. If it shall give other rows than before, raise `version`: the table is then rebuilt
    beside the old rows. With `is_priced` it may ask for `run.cost`.
    """

    name: str
    version: int = 1
    table: Table
    is_priced: bool = False
    is_own: bool = True
    # Those of the views that the projection was passed to.
    prices: PriceList | None = None

    @property
    def settings(self) -> str | None:
        """Returns the prices that the rows depend on, as JSON; None for none."""
        return price_settings(self.prices) if self.is_priced else None

    @property
    def tables(self) -> Sequence[Table]:
        """Returns the table."""
        return (self.table,)

    def rows(self, run: RunHistory) -> Iterable[Mapping[str, object]]:
        """Returns the rows of a run by the names of their columns, without `run_key`.

        Columns that are left out are NULL. No two rows of a run have the same key.
        """
        raise NotImplementedError

    def start_batch(self, fold: BatchFold) -> Batch:
        """Returns an empty batch."""
        return _OwnRowBatch(fold, self)


class RowBatch(FoldedBatch):
    """The rows of the runs of one batch, for one table."""

    table: Table

    def rows_of(self, run: FoldedRun) -> Iterable[list[Any]]:
        """Returns the rows of a run, as `upsert` takes them."""
        raise NotImplementedError

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


class _OwnRowBatch(RowBatch):
    """The rows of one batch of a projection of the application."""

    def __init__(self, fold: BatchFold, projection: RowProjection) -> None:
        super().__init__(fold)
        self.table = projection.table
        self._projection = projection
        self._runs = OwnRuns[list[list[Any]]](fold, projection.prices)

    @property
    def held_bytes(self) -> int:  # type: ignore[override]
        """Returns roughly how much memory the events take."""
        return self._runs.held_bytes

    def add_page(self, page: Sequence[Any]) -> None:
        """Adds the next events."""
        super().add_page(page)
        self._runs.add_page(page)

    def write(self, connection: Connection, target: Target) -> None:
        """Writes the rows of each run. Raises RunsRefused for those that the function refused."""
        converter = ValueConverter(self.table, connection.dialect)
        rows = self._projection.rows

        def make(run: FoldedRun) -> list[list[Any]]:
            return converter.rows(run.key, rows(self._runs.history(run)))

        self._runs.make_all(list(self.fold.unpruned_runs()), make)
        super().write(connection, target)

    def rows_of(self, run: FoldedRun) -> Iterable[list[Any]]:
        """Returns copies, since a batch may be written again in parts."""
        return [list(row) for row in self._runs.made[run.key]]

    def may_leave_rows(self, run: FoldedRun) -> bool:
        """True for a run with rows of earlier batches."""
        return not run.is_new
