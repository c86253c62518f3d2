"""The event store: append, read, read_all. The only home of the eventsourcing library."""

from __future__ import annotations

from tracker.event_store.opening import open_event_store
from tracker.event_store.store import Append, EventStore, RecordedEvent

__all__ = ["Append", "EventStore", "RecordedEvent", "open_event_store"]
