"""An event store that is gone when the process is: for tests and for trying things out."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

from eventsourcing.persistence import IntegrityError, StoredEvent
from eventsourcing.popo import POPOApplicationRecorder

from tracker.event_store.recorded import NewRow, RecordedEventStore, Row
from tracker.event_store.store import EventStore


class MemoryRecorder(POPOApplicationRecorder):
    """The library's recorder in plain objects, refusing a gap in a stream as the others do."""

    def __init__(self) -> None:
        super().__init__()
        self._appending = Lock()

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        with self._appending:
            heads = {}
            for event in stored_events:
                if event.originator_id not in heads:
                    heads[event.originator_id] = self._version(event.originator_id)
                heads[event.originator_id] += 1
                if event.originator_version != heads[event.originator_id]:
                    raise IntegrityError(f"no such version of {event.originator_id}")
            return super().insert_events(stored_events, **kwargs)

    def insert_rows(self, rows: Sequence[NewRow]) -> None:
        self.insert_events([StoredEvent(*row) for row in rows])

    def _version(self, stream: object) -> int:
        last = self.select_events(stream, desc=True, limit=1)  # type: ignore[arg-type]
        return last[0].originator_version if last else 0

    def select_rows(self, after: int, limit: int) -> Sequence[Row]:
        return [
            (n.id, str(n.originator_id), n.originator_version, n.topic, n.state)
            for n in self.select_notifications(after, limit, inclusive_of_start=False)
        ]

    def select_stream(self, stream: str, after: int) -> Sequence[Row]:
        return [row for row in self.select_rows(0, 2**62) if row[1] == stream and row[2] > after]

    def select_streams(self, streams: Sequence[str]) -> Sequence[Row]:
        return [row for stream in streams for row in self.select_stream(stream, 0)]

    def close(self) -> None:
        """Nothing to give back."""


def open_memory() -> EventStore:
    """An empty event store in memory."""
    return RecordedEventStore(MemoryRecorder())
