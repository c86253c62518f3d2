"""An event store that counts what is added to it."""

from __future__ import annotations

from collections.abc import Sequence

from tracker.core.events import RunCreated
from tracker.event_store.store import Append, EventStore, RecordedEvent


class CountingStore:
    """Passes all calls on to a store, and counts the events that were appended, and the new runs.

    The methods' promises are documented at `EventStore`.
    """

    def __init__(self, store: EventStore) -> None:
        self.events = 0
        self.runs = 0
        self._store = store

    def append(self, batch: Sequence[Append]) -> None:
        self._store.append(batch)
        for entry in batch:
            self.events += len(entry.events)
            self.runs += sum(isinstance(event, RunCreated) for event in entry.events)

    def read(self, stream: str, after: int = 0) -> list[RecordedEvent]:
        return self._store.read(stream, after)

    def read_many(self, streams: Sequence[str]) -> dict[str, list[RecordedEvent]]:
        return self._store.read_many(streams)

    def read_all(self, after: int = 0, limit: int = 1000) -> list[RecordedEvent]:
        return self._store.read_all(after, limit)

    def last_position(self) -> int:
        return self._store.last_position()

    def wait(self, after: int, timeout: float) -> bool:
        return self._store.wait(after, timeout)

    def forget(self, streams: Sequence[str]) -> int:
        return self._store.forget(streams)

    def close(self) -> None:
        self._store.close()
