"""The port of the event store: what every backend does, and the records it gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tracker.core.events import Event


class RecordedEvent(NamedTuple):
    """An event with its place: `position` in the whole store, `version` in its stream, from 1."""

    position: int
    stream: str
    version: int
    event: Event


class Append(NamedTuple):
    """Events to add to one stream. `expected_version` is the version it has now, 0 for none."""

    stream: str
    expected_version: int
    events: Sequence[Event]


class EventStore(Protocol):
    """Streams of events, in one order. Synchronous and safe for threads."""

    def append(self, batch: Sequence[Append]) -> None:
        """Adds all of `batch` in one transaction, or nothing.

        Raises ConcurrencyError if any stream is not at its expected version.
        """
        ...

    def read(self, stream: str, after: int = 0) -> list[RecordedEvent]:
        """The events of one stream after a version, oldest first; empty if there are none."""
        ...

    def read_many(self, streams: Sequence[str]) -> dict[str, list[RecordedEvent]]:
        """The events of several streams, each oldest first; an empty list where there are none."""
        ...

    def read_all(self, after: int = 0, limit: int = 1000) -> list[RecordedEvent]:
        """Up to `limit` events of all streams after a position, in order of position."""
        ...

    def last_position(self) -> int:
        """The position of the newest event, even if it was forgotten since; 0 before the first."""
        ...

    def wait(self, after: int, timeout: float) -> bool:
        """True as soon as there is an event after a position, False after `timeout` seconds.

        Blocks the calling thread, holds no transaction open meanwhile, and may be called by
        several threads at once. Wakes for what any process appends, within a tenth of a second
        as a rule. Raises StoreUnavailable where the database is gone, or closed meanwhile.
        """
        ...

    def forget(self, streams: Sequence[str]) -> int:
        """Deletes all events of these streams, in one transaction, and gives how many there were.

        The positions of others stay, and those that become free are never given out again. A
        stream that was forgotten is empty, and begins again at version 1. SQLite overwrites the
        bytes in its file and empties the log beside it (where somebody reads for seconds on end,
        that is put off to the next call, and logged); PostgreSQL overwrites them in its own time,
        or at once by `VACUUM FULL runfold_events`.
        """
        ...

    def close(self) -> None:
        """Gives the connections back. What was acknowledged stays."""
        ...
