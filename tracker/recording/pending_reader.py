"""Reads the pending runs of a store, in the time of what is pending where it has tables."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta

from tracker.event_store.open_runs import OpenRunsTable
from tracker.event_store.recorder_store import RecorderEventStore
from tracker.event_store.store import EventStore
from tracker.recording.pending_runs import PendingRuns

# Ended runs without steps are kept for so long.
KEPT_FOR = timedelta(hours=24)

_EVENTS_PER_PAGE = 5000
_RUNS_PER_QUERY = 500

Since = Callable[[str], datetime | None]


def read_pending(
    store: EventStore,
    since: Since,
    now: datetime,
    guard: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> tuple[PendingRuns, int]:
    """Returns the pending runs of a store, and the position up to which they are known.

    `since` is that of `PendingRuns`, `guard` a context that the store is used in.
    """
    if isinstance(store, RecorderEventStore) and store.placeholder:
        return _read_open(store, since, now, guard)
    runs, position = PendingRuns(since), 0
    while True:
        with guard():
            page = store.read_all(position, _EVENTS_PER_PAGE)
        if not page:
            return runs, position
        position = page[-1].position
        for entry in page:
            runs.apply(entry)


def _read_open(
    store: RecorderEventStore,
    since: Since,
    now: datetime,
    guard: Callable[[], AbstractContextManager[object]],
) -> tuple[PendingRuns, int]:
    with guard():
        known = OpenRunsTable(store).advance(now - KEPT_FOR)
    streams = list(known.open)
    for stream, ended_at in known.ended.items():
        limit = since(stream.partition(":")[0])
        if limit is not None and ended_at >= limit:
            streams.append(stream)
    runs = PendingRuns(since)
    for start in range(0, len(streams), _RUNS_PER_QUERY):
        with guard():
            histories = store.read_many(streams[start : start + _RUNS_PER_QUERY])
        for history in histories.values():
            for entry in history:
                # Later ones are followed.
                if entry.position <= known.position:
                    runs.apply(entry)
    return runs, known.position
