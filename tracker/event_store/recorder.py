"""The port of a backend: rows of encoded events, in order of position."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from eventsourcing.persistence import Notification, StoredEvent

EVENTS_TABLE = "runfold_events"
# Indexed, as these events are few among many.
ANOMALY_TOPIC = "run.anomaly_observed/1"
ANOMALY_INDEX = "runfold_anomalies"
CREATE_ANOMALY_INDEX = (
    f"CREATE INDEX IF NOT EXISTS {ANOMALY_INDEX} ON {EVENTS_TABLE} (position) "
    f"WHERE topic = '{ANOMALY_TOPIC}'"
)

# Position, stream, version, topic, JSON.
Row = tuple[int, str, int, str, bytes]
# A row without a position yet. The library's own StoredEvent costs more to make than to insert.
NewRow = tuple[str, int, str, bytes]


class Recorder(Protocol):
    """A backend of the event store. Synchronous and safe for threads."""

    def insert_rows(self, rows: Sequence[NewRow]) -> None:
        """Adds all of `rows` in one transaction, or nothing.

        Raises IntegrityError if a version exists already, or the one before it does not.
        """
        ...

    def select_rows(self, after: int, limit: int) -> Sequence[Row]: ...

    def select_stream(self, stream: str, after: int) -> Sequence[Row]: ...

    def select_streams(self, streams: Sequence[str]) -> Sequence[Row]: ...

    def max_notification_id(self) -> int | None: ...

    def wait(self, after: int, timeout: float) -> bool: ...

    def delete_streams(self, streams: Sequence[str]) -> int: ...

    def close(self) -> None: ...


def to_new_row(stored: StoredEvent) -> NewRow:
    """Converts the library's own type of event to a row."""
    return str(stored.originator_id), stored.originator_version, stored.topic, stored.state


def to_notifications(
    rows: Iterable[Row], stop: int | None, topics: Sequence[str]
) -> list[Notification]:
    """Converts rows, up to a position and of some topics, to the library's own notifications."""
    return [
        Notification(
            id=position,
            originator_id=stream,
            originator_version=version,
            topic=topic,
            state=state,
        )
        for position, stream, version, topic, state in rows
        if (stop is None or position <= stop) and (not topics or topic in topics)
    ]
