"""The event store over a recorder: typed events to rows and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eventsourcing.persistence import (
    ConnectionPoolClosedError,
    IntegrityError,
    PersistenceError,
)

from tracker.core.events import Event, Unreadable
from tracker.errors import ConcurrencyError, PayloadError, StoreUnavailable, UnreadableEvent
from tracker.event_store.codec import decode, encode
from tracker.event_store.open_runs import OpenRunsTable
from tracker.event_store.recorder import Recorder, Row
from tracker.event_store.side_tables import forget_rows
from tracker.event_store.store import Append, RecordedEvent

# Small transactions keep the waits of other writers short, and stay below the size at which a
# driver's pipeline was seen to hang (700 events).
EVENTS_PER_TRANSACTION = 250


class RecorderEventStore:
    """Typed events in a recorder's rows. The methods' promises are documented at `EventStore`.

    `file` is that of the database, if it is one. `open_leases` opens leases by which trackers share
    their work, for a store without a URL; its arguments are those of `PostgresLeases` without the
    database.
    """

    def __init__(
        self,
        recorder: Recorder,
        file: Path | None = None,
        open_leases: Callable[..., Any] | None = None,
    ) -> None:
        self._recorder, self.file, self.open_leases = recorder, file, open_leases

    def append(self, batch: Sequence[Append]) -> None:
        rows = [
            (stream, version, *encode(event))
            for stream, expected, events in batch
            for version, event in enumerate(events, expected + 1)
        ]
        if not rows:
            return
        try:
            with _translate_errors():
                self._recorder.insert_rows(rows)
        except IntegrityError:
            raise ConcurrencyError(self._conflict(batch)) from None

    def read(self, stream: str, after: int = 0) -> list[RecordedEvent]:
        with _translate_errors():
            rows = self._recorder.select_stream(stream, after)
        return list(_decode_rows(rows))

    def read_many(self, streams: Sequence[str]) -> dict[str, list[RecordedEvent]]:
        with _translate_errors():
            rows = self._recorder.select_streams(streams)
        found: dict[str, list[RecordedEvent]] = {stream: [] for stream in streams}
        for entry in _decode_rows(rows):
            found[entry.stream].append(entry)
        return found

    def read_all(self, after: int = 0, limit: int = 1000) -> list[RecordedEvent]:
        with _translate_errors():
            rows = self._recorder.select_rows(after, limit)
        return list(_decode_rows(rows))

    def last_position(self) -> int:
        with _translate_errors():
            return self._recorder.max_notification_id() or 0

    def wait(self, after: int, timeout: float) -> bool:
        with _translate_errors():
            return self._recorder.wait(after, timeout)

    def forget(self, streams: Sequence[str]) -> int:
        if self.placeholder and streams:
            with self.transaction(commit=True) as cursor:
                forget_rows(cursor, self.placeholder, streams)
        with _translate_errors():
            deleted = self._recorder.delete_streams(streams)
        if self.placeholder:
            OpenRunsTable(self).forget(streams)
        return deleted

    @property
    def placeholder(self) -> str:
        """The placeholder of a parameter in the database's SQL; empty without a database."""
        return str(getattr(self._recorder, "placeholder", ""))

    @property
    def connection_settings(self) -> Mapping[str, Any] | None:
        """The driver's arguments for a connection of one's own to PostgreSQL; else None."""
        found: Mapping[str, Any] | None = getattr(self._recorder, "connection_settings", None)
        return found

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[Any]:
        """Yields a cursor for a table beside the events. Not for a store in memory."""
        recorder: Any = self._recorder
        with _translate_errors(), recorder.datastore.transaction(commit=commit) as cursor:
            yield cursor

    def hurry(self) -> None:
        """Shortens all waits for the database, as far as it can: a tracker is being left."""
        hurry = getattr(self._recorder, "hurry", None)
        if hurry is not None:
            hurry()

    def close(self) -> None:
        self._recorder.close()

    def _conflict(self, batch: Sequence[Append]) -> str:
        for stream, expected, _ in batch:
            with _translate_errors():
                actual = len(self._recorder.select_stream(stream, 0))
            if actual != expected:
                return f"stream {stream!r} is at version {actual}, not at {expected}"
        return "a stream was appended to and deleted at the same time"


def split_into_transactions(batch: Iterable[Append]) -> Iterator[list[Append]]:
    """Splits a batch into parts of about 250 events; an `Append` is never divided."""
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


def _decode_rows(rows: Iterable[Row]) -> Iterator[RecordedEvent]:
    for position, stream, version, topic, state in rows:
        event: Event
        try:
            event = decode(topic, state)
        except UnreadableEvent as error:
            event = Unreadable(stored_topic=topic, state=state, reason=str(error))
        yield RecordedEvent(position, stream, version, event)


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except (PersistenceError, ConnectionPoolClosedError) as error:
        if _is_refusal(error.__cause__):
            raise PayloadError(f"the database refuses these values: {error}") from error
        raise StoreUnavailable(
            f"the event store could not be used: {error}; events that it acknowledged are safe"
        ) from error
    except (UnicodeError, OverflowError) as error:
        raise PayloadError(f"the database has no place for these values: {error}") from error


def _is_refusal(error: BaseException | None) -> bool:
    """True if an error of a driver is about the values that it was given, and nothing else."""
    state = getattr(error, "sqlstate", None)
    # Data exceptions, and limits of the program such as the size of an index entry.
    return type(error).__name__ == "DataError" if state is None else state[:2] in ("22", "54")
