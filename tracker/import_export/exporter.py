"""Export of all histories: one line per event, in the order in which they were recorded."""

from __future__ import annotations

from collections.abc import Callable

from tracker.event_store.store import EventStore
from tracker.import_export.event_json import encode_event

_PAGE = 1000


def export_events(
    store: EventStore,
    write: Callable[[bytes], object],
    *,
    progress: Callable[[int, int], None] = lambda position, last: None,
) -> int:
    """Writes all events as lines of JSON (see `event_json`). Returns their number.

    Reads page by page, up to the last position at the start. Equal histories give equal bytes.
    `progress` is called with the current and the last position. Raises UnreadableEvent for an
    event of another release, StoreUnavailable if the database fails.
    """
    last = store.last_position()
    position = count = 0
    while position < last and (page := store.read_all(position, _PAGE)):
        position = page[-1].position
        lines = [encode_event(entry) for entry in page if entry.position <= last]
        write(b"".join(lines))
        count += len(lines)
        progress(min(position, last), last)
    return count
