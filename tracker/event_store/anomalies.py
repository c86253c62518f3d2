"""Finds runs that share their id with a run on another thread."""

from __future__ import annotations

import json

from tracker.core.state import ANOTHER_THREAD
from tracker.event_store.recorder import ANOMALY_TOPIC, EVENTS_TABLE
from tracker.event_store.recorder_store import RecorderEventStore
from tracker.event_store.store import EventStore

_NEWEST = 1000


def find_shared_ids(store: EventStore) -> list[str]:
    """Returns the streams of the runs with whose id a run on another thread came, newest first.

    Reads the last 1,000 anomalies. Raises StoreUnavailable if the database fails.
    """
    if not (isinstance(store, RecorderEventStore) and store.placeholder):
        return []
    with store.transaction(commit=False) as cursor:
        cursor.execute(
            f"SELECT originator_id, state FROM {EVENTS_TABLE} WHERE topic = '{ANOMALY_TOPIC}' "
            f"ORDER BY position DESC LIMIT {_NEWEST}"
        )
        rows = [(row["originator_id"], row["state"]) for row in cursor.fetchall()]
    found = [stream for stream, state in rows if json.loads(state)["kind"] == ANOTHER_THREAD]
    return list(dict.fromkeys(found))
