"""The port of the event store, and the records that it returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tracker.core.events import Event


class RecordedEvent(NamedTuple):
    """An event with its `position` in the whole store and its `version` in its stream, from 1."""

    position: int
    stream: str
    version: int
    event: Event


class Append(NamedTuple):
    """Events to add to one stream, which is at `expected_version`; 0 for a new stream."""

    stream: str
    expected_version: int
    events: Sequence[Event]


class EventStore(Protocol):
    """Streams of events in one total order. Synchronous and safe for threads.

    An event that this release cannot read is returned as `Unreadable`, so that it harms no other.
    """

    def append(self, batch: Sequence[Append]) -> None:
        """Adds all of `batch` in one transaction, or nothing.

        Raises ConcurrencyError if any stream is not at its expected version, and PayloadError if
        the database has no place for a value.
        """
        ...

    def read(self, stream: str, after: int = 0) -> list[RecordedEvent]:
        """Returns the events of a stream after a version, oldest first; empty if there are none."""
        ...

    def read_many(self, streams: Sequence[str]) -> dict[str, list[RecordedEvent]]:
        """Returns the events of several streams, each oldest first; empty if there are none."""
        ...

    def read_all(self, after: int = 0, limit: int = 1000) -> list[RecordedEvent]:
        """Returns up to `limit` events of all streams after a position, in order of position."""
        ...

    def last_position(self) -> int:
        """Returns the position of the newest event, even of a deleted one; 0 before the first."""
        ...

    def wait(self, after: int, timeout: float) -> bool:
        """Returns True once there is an event after a position, False after `timeout` seconds.

        Blocks the calling thread, holds no transaction open meanwhile, and may be called by
        several threads at once. Notices the events of any process, within a tenth of a second
        as a rule. Raises StoreUnavailable if the database is gone, or closed meanwhile.
        """
        ...

    def forget(self, streams: Sequence[str]) -> int:
        """Deletes all events of these streams in one transaction, and returns their number.

        Other events keep their positions, and the positions that become free are never used
        again. A stream that was forgotten is empty, and begins again at version 1. SQLite
        overwrites the bytes in its file and empties the write-ahead log (while the database is
        read for seconds, this is left to the next call, and logged); PostgreSQL overwrites them
        in its own time, or at once by `VACUUM FULL runfold_events`.
        """
        ...

    def close(self) -> None:
        """Closes the connections. Events that were acknowledged are safe."""
        ...
