"""The event store in memory, lost when the process ends: for tests and for trying things out."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter
from threading import Condition

from eventsourcing.persistence import IntegrityError, PersistenceError

from tracker.event_store.recorder import NewRow, Row
from tracker.event_store.recorder_store import RecorderEventStore
from tracker.event_store.store import EventStore


class MemoryRecorder:
    """Rows in a list in order of position, and a list for each stream."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._streams: dict[str, list[Row]] = {}
        self._last_position = 0
        self._changed = Condition()
        self._is_closed = False

    def insert_rows(self, rows: Sequence[NewRow]) -> None:
        with self._changed:
            heads: dict[str, int] = {}
            for stream, version, _, _ in rows:
                head = heads.get(stream, len(self._streams.get(stream, ())))
                if version != head + 1:
                    raise IntegrityError(f"no such version of {stream}")
                heads[stream] = version
            for stream, version, topic, state in rows:
                self._last_position += 1
                row = (self._last_position, stream, version, topic, state)
                self._rows.append(row)
                self._streams.setdefault(stream, []).append(row)
            self._changed.notify_all()

    def select_rows(self, after: int, limit: int) -> Sequence[Row]:
        with self._changed:
            first = bisect_right(self._rows, after, key=itemgetter(0))
            return self._rows[first : first + limit]

    def select_stream(self, stream: str, after: int) -> Sequence[Row]:
        with self._changed:
            return self._streams.get(stream, [])[after:]

    def select_streams(self, streams: Sequence[str]) -> Sequence[Row]:
        return [row for stream in streams for row in self.select_stream(stream, 0)]

    def max_notification_id(self) -> int | None:
        return self._last_position

    def delete_streams(self, streams: Sequence[str]) -> int:
        with self._changed:
            deleted = {stream for stream in streams if self._streams.pop(stream, None)}
            remaining = [row for row in self._rows if row[1] not in deleted]
            number, self._rows = len(self._rows) - len(remaining), remaining
            return number

    def wait(self, after: int, timeout: float) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._has_rows_after(after) or self._is_closed, timeout)
            if self._is_closed:
                raise PersistenceError("it is closed")
            return self._has_rows_after(after)

    def _has_rows_after(self, position: int) -> bool:
        return bool(self._rows) and self._rows[-1][0] > position

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


def open_memory() -> EventStore:
    """Returns an empty event store in memory."""
    return RecorderEventStore(MemoryRecorder())
