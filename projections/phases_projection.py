"""The projection `phases`: keeps the table `run_phases` in step with the events."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table, delete

from projections.folding import HISTORY_BYTES, Histories, Past
from projections.phases import phase_values
from projections.schema import run_phases
from projections.traces import Trace
from projections.upsert import upsert
from tracker.core.events import RunStepRecorded
from tracker.core.status import ENDED
from tracker.event_store.store import RecordedEvent


class PhasesProjection:
    """Notes the changes of status of each run, and makes its phases of all of them."""

    name = "phases"
    version = 1
    tables: Sequence[Table] = (run_phases,)

    def begin(self) -> PhasesBatch:
        """An empty batch."""
        return PhasesBatch()


class PhasesBatch:
    """The traces of one batch."""

    def __init__(self) -> None:
        self._traces = Histories(Trace)
        self._steps_before: dict[str, int] = {}

    @property
    def weight(self) -> int:
        """About how many bytes the traces hold."""
        return HISTORY_BYTES * len(self._traces.by_key)

    def take(self, page: Sequence[RecordedEvent], past: Past) -> None:
        """Raises ValueError or TypeError where the events are not a history of a run."""
        known = self._traces.by_key
        older = {it.stream for it in page if it.version > 1 and it.stream not in known}
        self._traces.take(page, past)
        for key, before in past.of(older & known.keys()).items():
            self._steps_before[key] = sum(type(it.event) is RunStepRecorded for it in before)

    def write(self, connection: Connection) -> None:
        """Writes all phases of each run of the batch."""
        rows = []
        for trace in self._traces.by_key.values():
            for seq, stay in enumerate(trace.stays(), 1):
                if stay.status not in ENDED:
                    rows.append(phase_values(trace.key, seq, stay))
        self._forget_phases(connection)
        upsert(connection, run_phases, rows)

    def _forget_phases(self, connection: Connection) -> None:
        """Deletes the phases of runs that more steps are known of: there may now be fewer."""
        for run_key, steps in self._steps_before.items():
            if len(self._traces.by_key[run_key].steps) > steps:
                connection.execute(delete(run_phases).where(run_phases.c.run_key == run_key))
