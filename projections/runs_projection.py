"""The projection `runs`: keeps the tables `runs` and `run_phases` in step with the events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from operator import itemgetter

from sqlalchemy import Connection, Table, select

from projections.queries import PhaseRow
from projections.runs import History, fold
from projections.schema import run_phases, runs
from projections.upsert import upsert
from tracker.core.events import ConfigurationRecorded
from tracker.event_store.store import RecordedEvent

# SQLite takes 999 parameters in its oldest builds.
_KEYS = 500

_values = itemgetter(*runs.columns.keys())


class RunsProjection:
    """Folds a batch in memory, a run at a time, and writes each row that changed once."""

    name = "runs"
    version = 1
    tables: Sequence[Table] = (runs, run_phases)

    def apply(self, connection: Connection, batch: Sequence[RecordedEvent]) -> None:
        """Writes the rows and phases that `batch` changes.

        Raises ValueError or TypeError where the events are not a history of a run.
        """
        of_runs = [it for it in batch if not isinstance(it.event, ConfigurationRecorded)]
        histories = _load(connection, {it.stream: None for it in of_runs})
        before = {key: history.row and history.row["version"] for key, history in histories.items()}
        for recorded in of_runs:
            fold(histories[recorded.stream], recorded)
        changed = [
            history
            for key, history in histories.items()
            if history.row is not None and history.row["version"] != before[key]
        ]
        rows = [_values(it.row) for it in changed if it.row is not None]
        upsert(connection, runs, rows, guard="version")
        upsert(connection, run_phases, [row for it in changed for row in it.phases.values()])


def _load(connection: Connection, keys: dict[str, None]) -> dict[str, History]:
    """The histories of these runs so far, in the same order."""
    histories = {key: History() for key in keys}
    for chunk in _chunks(keys):
        for row in connection.execute(select(runs).where(runs.c.run_key.in_(chunk))):
            histories[row.run_key].row = dict(row._mapping)
    known = [key for key, history in histories.items() if history.row is not None]
    for chunk in _chunks(known):
        are_open = run_phases.c.run_key.in_(chunk) & run_phases.c.left_at.is_(None)
        for row in connection.execute(select(run_phases).where(are_open)):
            histories[row.run_key].open = PhaseRow(*row)
    return histories


def _chunks(keys: Sequence[str] | dict[str, None]) -> Iterator[list[str]]:
    remaining = iter(keys)
    while chunk := list(islice(remaining, _KEYS)):
        yield chunk
