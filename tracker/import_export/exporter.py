"""Histories to a file: a line an event, in the order in which they were recorded."""

from __future__ import annotations

from collections.abc import Callable

from tracker.event_store.store import EventStore
from tracker.import_export.event_json import event_line

_PAGE = 1000


def export_events(
    store: EventStore,
    write: Callable[[bytes], object],
    *,
    progress: Callable[[int, int], None] = lambda position, last: None,
) -> int:
    """Writes all events as lines of JSON (see `event_json`); returns how many there were.

    Reads page by page, up to the position that was the last at the start. Equal histories give
    equal bytes. `progress` is told the position it is at, and the last one. Raises
    UnreadableEvent where an event is of another release, StoreUnavailable where the database
    fails.
    """
    last = store.last_position()
    position = count = 0
    while position < last and (page := store.read_all(position, _PAGE)):
        position = page[-1].position
        lines = [event_line(entry) for entry in page if entry.position <= last]
        write(b"".join(lines))
        count += len(lines)
        progress(min(position, last), last)
    return count
