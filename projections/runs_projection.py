"""The projection `runs`: keeps the table of that name in step with the events."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table

from projections.folding import HISTORY_BYTES, Histories, Past
from projections.runs import RunHistory, row_values
from projections.schema import runs
from projections.upsert import upsert
from tracker.event_store.store import RecordedEvent


class RunsProjection:
    """Folds a batch in memory, a run at a time, and writes each row that changed once."""

    name = "runs"
    version = 2
    tables: Sequence[Table] = (runs,)

    def begin(self) -> RunsBatch:
        """An empty batch."""
        return RunsBatch()


class RunsBatch:
    """The runs of one batch."""

    def __init__(self) -> None:
        self._histories = Histories(RunHistory)
        self._metadata_bytes = 0

    @property
    def weight(self) -> int:
        """About how many bytes the runs hold."""
        return HISTORY_BYTES * len(self._histories.by_key) + self._metadata_bytes

    def take(self, page: Sequence[RecordedEvent], past: Past) -> None:
        """Raises ValueError or TypeError where the events are not a history of a run."""
        begun = self._histories.take(page, past)
        self._metadata_bytes += sum(len(run.metadata) for run in begun)

    def write(self, connection: Connection) -> None:
        """Writes the row of each run; one that was read with all its events stays."""
        histories = self._histories.by_key.values()
        rows = [row_values(run) for run in histories]
        upsert(connection, runs, rows, guard="version")
