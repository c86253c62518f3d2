"""The event store over a recorder of the eventsourcing library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from eventsourcing.persistence import (
    ConnectionPoolClosedError,
    IntegrityError,
    Notification,
    PersistenceError,
    StoredEvent,
)

from tracker.errors import ConcurrencyError, StoreUnavailable, UnreadableEvent
from tracker.event_store.codec import decode, encode
from tracker.event_store.store import Append, RecordedEvent

# Small transactions keep the waits of other writers short, and no call near the size from which
# a driver's pipeline was seen to hang for ever (700 events).
EVENTS_PER_TRANSACTION = 250

Row = tuple[int, str, int, str, bytes]
# A row that has no position yet. The library's own StoredEvent costs more to make than to insert.
NewRow = tuple[str, int, str, bytes]


class Recorder(Protocol):
    """What a backend does: the library's recorder, and rows in order of position."""

    def insert_rows(self, rows: Sequence[NewRow]) -> None:
        """Adds all of `rows` in one transaction, or nothing.

        Raises IntegrityError where a version exists already, or the one before it does not.
        """
        ...

    def select_rows(self, after: int, limit: int) -> Sequence[Row]: ...

    def select_stream(self, stream: str, after: int) -> Sequence[Row]: ...

    def select_streams(self, streams: Sequence[str]) -> Sequence[Row]: ...

    def max_notification_id(self) -> int | None: ...

    def wait(self, after: int, timeout: float) -> bool: ...

    def delete_streams(self, streams: Sequence[str]) -> int: ...

    def close(self) -> None: ...


class RecordedEventStore:
    """Typed events in a recorder's table; see `EventStore` for what each method promises."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def append(self, batch: Sequence[Append]) -> None:
        rows = [
            (stream, version, *encode(event))
            for stream, expected, events in batch
            for version, event in enumerate(events, expected + 1)
        ]
        if not rows:
            return
        try:
            with _translated():
                self._recorder.insert_rows(rows)
        except IntegrityError:
            raise ConcurrencyError(self._conflict(batch)) from None

    def read(self, stream: str, after: int = 0) -> list[RecordedEvent]:
        with _translated():
            rows = self._recorder.select_stream(stream, after)
        return list(_decoded(rows))

    def read_many(self, streams: Sequence[str]) -> dict[str, list[RecordedEvent]]:
        with _translated():
            rows = self._recorder.select_streams(streams)
        found: dict[str, list[RecordedEvent]] = {stream: [] for stream in streams}
        for entry in _decoded(rows):
            found[entry.stream].append(entry)
        return found

    def read_all(self, after: int = 0, limit: int = 1000) -> list[RecordedEvent]:
        with _translated():
            rows = self._recorder.select_rows(after, limit)
        readable: list[RecordedEvent] = []
        try:
            readable.extend(_decoded(rows))
        except UnreadableEvent:
            # What comes before an unreadable event is good: it is raised when it comes first.
            if not readable:
                raise
        return readable

    def last_position(self) -> int:
        with _translated():
            return self._recorder.max_notification_id() or 0

    def wait(self, after: int, timeout: float) -> bool:
        with _translated():
            return self._recorder.wait(after, timeout)

    def forget(self, streams: Sequence[str]) -> int:
        with _translated():
            return self._recorder.delete_streams(streams)

    @property
    def placeholder(self) -> str:
        """The sign of a parameter in the database's SQL; empty where there is no database."""
        return str(getattr(self._recorder, "placeholder", ""))

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[Any]:
        """A cursor of the database, for a table beside the events. Not for a store in memory."""
        recorder: Any = self._recorder
        with _translated(), recorder.datastore.transaction(commit=commit) as cursor:
            yield cursor

    def close(self) -> None:
        self._recorder.close()

    def _conflict(self, batch: Sequence[Append]) -> str:
        for stream, expected, _ in batch:
            with _translated():
                actual = len(self._recorder.select_stream(stream, 0))
            if actual != expected:
                return f"stream {stream!r} is at version {actual}, not at {expected}"
        return "a stream was appended to and deleted meanwhile"


def transactions(batch: Iterable[Append]) -> Iterator[list[Append]]:
    """`batch` in parts of at most 250 events, a stream's own events never apart."""
    part: list[Append] = []
    count = 0
    for entry in batch:
        if part and count + len(entry.events) > EVENTS_PER_TRANSACTION:
            yield part
            part, count = [], 0
        part.append(entry)
        count += len(entry.events)
    if part:
        yield part


def new_row(stored: StoredEvent) -> NewRow:
    """A row of the library's own kind of event."""
    return str(stored.originator_id), stored.originator_version, stored.topic, stored.state


def notifications(
    rows: Iterable[Row], stop: int | None, topics: Sequence[str]
) -> list[Notification]:
    """`rows` as the library's own notifications, up to a position and of some topics."""
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


def _decoded(rows: Iterable[Row]) -> Iterator[RecordedEvent]:
    for position, stream, version, topic, state in rows:
        try:
            yield RecordedEvent(position, stream, version, decode(topic, state))
        except UnreadableEvent as error:
            raise UnreadableEvent(
                f"at position {position}, version {version} of {stream!r}: {error}"
            ) from error


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except (PersistenceError, ConnectionPoolClosedError) as error:
        raise StoreUnavailable(
            f"the event store could not be used: {error}; what it acknowledged stands"
        ) from error
