"""Compares what a start knows of pending runs with what a reading of all events says."""

from datetime import datetime

from tracker.event_store import EventStore
from tracker.recording.pending_reader import read_pending
from tracker.recording.pending_runs import PendingRuns


def compare_pending(store: EventStore, limit: datetime, now: datetime) -> int:
    """Fails where they differ; returns the number of pending runs. Ends before `limit` are old."""
    found, position = read_pending(store, lambda source: limit, now)
    expected, read = PendingRuns(lambda source: limit), 0
    while page := store.read_all(read, 5000):
        read = page[-1].position
        for entry in page:
            expected.apply(entry)
    assert position == store.last_position()
    assert found.open == expected.open
    counted = {
        stream: state
        for stream, state in expected.without_steps.items()
        if state.ended_at is not None and state.ended_at >= limit
    }
    assert found.without_steps == counted
    return len(found.open) + len(found.without_steps)
