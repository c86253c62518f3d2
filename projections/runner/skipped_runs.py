"""The events that projections leave out, since their runs were set aside before."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Engine

from projections.runner.checkpoint import CheckpointMoved
from projections.runner.set_aside import Notes, has_notes, read_notes
from tracker.errors import ViewsError
from tracker.event_store.store import RecordedEvent


class NotesDiffer(ViewsError):
    """Projections that share a batch have set different runs aside: each has to run alone."""


class SkippedRuns:
    """The runs of one batch that its projections have set aside. `is_empty` if there are none."""

    def __init__(self, names: Sequence[str], *, is_empty: bool) -> None:
        self._names = names
        self._is_empty = is_empty
        self._streams: set[str] = set()
        self._notes: Notes = {}
        # By run, the position up to which the tables have its events.
        self._reached: dict[str, int] = {}

    def without(self, engine: Engine, page: Sequence[RecordedEvent]) -> Sequence[RecordedEvent]:
        """Returns a page without the events that are left out. Raises NotesDiffer."""
        new = {it.stream for it in page} - self._streams
        self._streams |= new
        if self._is_empty:
            return page
        with engine.connect() as connection:
            found = read_notes(connection, self._names, new)
        self._notes |= found
        for (_, stream), position in found.items():
            self._reached[stream] = position
        for stream in {stream for _, stream in found}:
            if len({found.get((name, stream)) for name in self._names}) > 1:
                raise NotesDiffer(f"{stream} is set aside by some projections, and not by others")
        reached = self._reached
        if not reached:
            return page
        return [it for it in page if it.position <= reached.get(it.stream, it.position)]

    def check_unchanged(self, connection: Connection) -> None:
        """Raises CheckpointMoved if a run of the batch was set aside or retried meanwhile."""
        if self._is_empty and not has_notes(connection):
            return
        if read_notes(connection, self._names, self._streams) != self._notes:
            raise CheckpointMoved("runs were set aside or retried during the batch")
