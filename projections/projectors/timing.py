"""The projection `timing`: keeps the tables `timing_buckets` and `timing_totals`."""

from __future__ import annotations

from collections.abc import Sequence
from operator import add as plus
from typing import Any

from sqlalchemy import Connection, Table, and_, delete

from projections.database.schema import timing_buckets, timing_totals
from projections.database.upsert import add
from projections.folding.batch_fold import BatchFold
from projections.folding.micros import moment_of
from projections.folding.rollups import timing_changes, totals
from projections.projectors.projection import Folded, Target


class TimingProjection:
    """Counts ended runs by how long they took, and again where that is known better later."""

    name = "timing"
    version = 1
    tables: Sequence[Table] = (timing_buckets, timing_totals)

    def begin(self, fold: BatchFold) -> TimingBatch:
        """An empty batch."""
        return TimingBatch(fold)


class TimingBatch(Folded):
    """The durations of the runs of one batch."""

    def write(self, connection: Connection, target: Target) -> None:
        """Adds them to the counts that are there; no count stays at zero."""
        changes = {key: count for key, count in timing_changes(self.fold.runs()).items() if count}
        kinds = {key: count for key, count in totals(changes, plus).items() if count}
        _count(
            connection,
            target(timing_buckets),
            [[*time, *kind, count] for (time, kind), count in changes.items()],
        )
        _count(connection, target(timing_totals), [[*kind, count] for kind, count in kinds.items()])


def _count(connection: Connection, table: Table, rows: Sequence[list[Any]]) -> None:
    emptied = [list(row) for row in rows if row[-1] < 0]
    add(connection, table, rows)
    keys = table.primary_key.columns
    for row in emptied:
        if "hour" in keys:
            row[0] = moment_of(row[0])
        key = and_(*(column == value for column, value in zip(keys, row, strict=False)))
        connection.execute(delete(table).where(key, table.c.count == 0))
