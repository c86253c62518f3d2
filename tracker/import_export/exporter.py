"""Export of all histories: one line per event, in the order in which they were recorded."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tracker.errors import UnreadableEvent
from tracker.event_store.store import EventStore, RecordedEvent
from tracker.import_export.event_json import encode_event
from tracker.runtime.log_fields import of_run

logger = logging.getLogger("runfold")

_PAGE = 1000


def export_events(
    store: EventStore,
    write: Callable[[bytes], object],
    *,
    progress: Callable[[int, int], None] = lambda position, last: None,
) -> int:
    """Writes all events as lines of JSON (see `event_json`). Returns their number.

    Reads page by page, up to the last position at the start. Equal histories give equal bytes.
    `progress` is called with the current and the last position. An event that this release cannot
    read is written as it is stored, for one that can; if it is no JSON, it is left out and named in
    the log. Raises StoreUnavailable if the database fails.
    """
    last = store.last_position()
    position = count = 0
    while position < last and (page := store.read_all(position, _PAGE)):
        position = page[-1].position
        lines = list(filter(None, (_encode(it) for it in page if it.position <= last)))
        write(b"".join(lines))
        count += len(lines)
        progress(min(position, last), last)
    return count


def _encode(entry: RecordedEvent) -> bytes | None:
    try:
        return encode_event(entry)
    except UnreadableEvent as error:
        logger.warning("%s", error, extra=of_run(entry.stream))
        return None
