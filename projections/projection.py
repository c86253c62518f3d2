"""What a projection is: a name, its tables, and how a batch of events changes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import Connection, Table

from projections.folding import Past
from tracker.event_store.store import RecordedEvent


class Batch(Protocol):
    """Events of one batch on their way into rows: folded page by page, then written at once."""

    @property
    def weight(self) -> int:
        """About how many bytes it holds in memory, so that a batch can be ended in time."""
        ...

    def take(self, page: Sequence[RecordedEvent], past: Past) -> None:
        """Folds the events that follow the ones taken so far, in order of position.

        `past` has the events of a run from before the batch; nothing is written.
        """
        ...

    def write(self, connection: Connection) -> None:
        """Writes what the events change; all of it or, raising, nothing.

        It runs inside the transaction that advances the checkpoint, and never commits.
        """
        ...


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

    def begin(self) -> Batch:
        """An empty batch."""
        ...
