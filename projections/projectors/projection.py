"""What a projection is: a name, its tables, and how a batch of events changes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from sqlalchemy import Connection, Table

from projections.folding.batch_fold import BatchFold
from tracker.event_store.store import RecordedEvent

# The table to write to in place of a public one: itself, or its shadow while it is made again.
Target = Callable[[Table], Table]


class Batch(Protocol):
    """Events of one batch on their way into rows: folded page by page, then written at once."""

    @property
    def weight(self) -> int:
        """About how many bytes it holds beside the fold, so that a batch can be ended in time."""
        ...

    def take(self, page: Sequence[RecordedEvent]) -> None:
        """Takes in the events that follow the ones taken so far, in order of position."""
        ...

    def write(self, connection: Connection, target: Target) -> None:
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

    def begin(self, fold: BatchFold) -> Batch:
        """An empty batch, over the fold that it shares with others."""
        ...


class Folded:
    """A batch that is all in the fold: the base of those that are made of whole runs."""

    weight = 0

    def __init__(self, fold: BatchFold) -> None:
        self.fold = fold

    def take(self, page: Sequence[RecordedEvent]) -> None:
        """Raises ValueError or TypeError where the events are not a history of a run."""
        self.fold.take(page)
