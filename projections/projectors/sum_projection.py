"""Projections that sum over runs by keys, and their batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table

from projections.database.upsert import add, remove_zeros
from projections.folding.batch_fold import BatchFold, FoldedRun
from projections.folding.rollups import Key
from projections.projectors.own_batch import OwnBatch
from projections.projectors.own_table import OwnTableProjection
from projections.projectors.projection import Batch, FoldedBatch, Target
from projections.projectors.run_history import RunHistory
from projections.projectors.table_values import ValueConverter

# What runs add to the sums, by the key of the row: the values of its other columns.
Changes = Mapping[Key, Sequence[Any]]


class SumProjection(OwnTableProjection):
    """A table of your own with sums over runs: subclass it, and write `amounts`.

    The primary key of `table` is what the sums are by, and its other columns are integers.
    `amounts` is a function of the history alone: no clock, no chance, no input or output. When a
    run changes, the sums change by the difference. If the function shall give other amounts than
    before, raise `version`: the table is then rebuilt beside the old rows. A key has no row while
    all of its sums are 0. With `is_priced` it may ask for `run.cost`.
    """

    @abstractmethod
    def amounts(self, run: RunHistory) -> Iterable[tuple[Mapping[str, object], Mapping[str, int]]]:
        """Returns what a run adds: pairs of the values of a key, and of amounts by column.

        It is asked for open runs too. Amounts that are left out are 0; those of one key add up.
        """

    def start_batch(self, fold: BatchFold) -> Batch:
        """Returns an empty batch."""
        return _OwnSumBatch(fold, self)


class SumBatch(FoldedBatch, ABC):
    """The changes of the sums by the runs of one batch."""

    @abstractmethod
    def changes(self) -> Iterable[tuple[Table, Changes]]:
        """Returns the tables with what the runs change in them."""

    def write(self, connection: Connection, target: Target) -> None:
        """Adds to the sums; rows that no run is left in are removed."""
        for table, changes in self.changes():
            self.apply(connection, target(table), changes)

    def apply(self, connection: Connection, table: Table, changes: Changes) -> None:
        """Adds to the sums of one table."""
        add(connection, table, [[*key, *counts] for key, counts in changes.items() if any(counts)])
        lowered = [list(key) for key, counts in changes.items() if min(counts) < 0]
        remove_zeros(connection, table, lowered)


class _OwnSumBatch(OwnBatch[dict[Key, list[int]]], SumBatch):
    """The changes of one batch of a projection of the application."""

    def __init__(self, fold: BatchFold, projection: SumProjection) -> None:
        super().__init__(fold, projection.prices)
        self._projection = projection

    def write(self, connection: Connection, target: Target) -> None:
        """Changes the sums. Raises RunsRefused for the runs that the function refused."""
        converter = ValueConverter(self._projection.table, connection.dialect)

        def make(run: FoldedRun) -> dict[Key, list[int]]:
            sums: dict[Key, list[int]] = {}
            earlier = self.earlier_history(run)
            if earlier is not None:
                self._add(sums, converter, earlier, -1)
            self._add(sums, converter, self.history(run), 1)
            return sums

        self.make_all(self.fold.runs(), make)
        super().write(connection, target)

    def changes(self) -> Iterator[tuple[Table, Changes]]:
        """Returns the table with the changes of all runs."""
        sums: dict[Key, list[int]] = {}
        for run in self.fold.runs():
            for key, amounts in self.made[run.key].items():
                known = sums.get(key)
                sums[key] = amounts if known is None else list(map(int.__add__, known, amounts))
        yield self._projection.table, sums

    def _add(
        self,
        sums: dict[Key, list[int]],
        converter: ValueConverter,
        history: RunHistory,
        sign: int,
    ) -> None:
        for key, amounts in converter.sums(self._projection.amounts(history)):
            known = sums.get(key) or [0] * len(amounts)
            sums[key] = [one + sign * other for one, other in zip(known, amounts, strict=True)]
