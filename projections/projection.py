"""What a projection is: a name, its tables, and how a batch of events changes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import Connection, Table

from tracker.event_store.store import RecordedEvent


class Projection(Protocol):
    """Keeps tables in step with the events. Its checkpoint is kept under its name.

    `version` grows with each change of what it makes of the same events.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    @property
    def tables(self) -> Sequence[Table]: ...

    def apply(self, connection: Connection, batch: Sequence[RecordedEvent]) -> None:
        """Writes what `batch`, in order of position, changes; all of it or, raising, nothing.

        It runs inside the transaction that advances the checkpoint, and never commits.
        """
        ...
