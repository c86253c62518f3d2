"""The protocol of a projection: a name, its tables, and the changes that a batch makes to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from sqlalchemy import Connection, Table

from projections.folding.batch_fold import BatchFold
from tracker.event_store.store import RecordedEvent

# Returns the table to write to for a public one: itself, or its shadow during a rebuild.
Target = Callable[[Table], Table]


class Batch(Protocol):
    """The events of one batch: added page by page, then written at once."""

    @property
    def held_bytes(self) -> int:
        """Returns roughly how much memory it takes beside the fold, to limit the batch."""
        ...

    def add_page(self, page: Sequence[RecordedEvent]) -> None:
        """Adds the next events, in order of position."""
        ...

    def write(self, connection: Connection, target: Target) -> None:
        """Writes the changes of the runs that the fold has chosen.

        It runs inside the transaction that advances the checkpoint, and never commits. If it
        raises, all that it wrote is rolled back, and it is called again for fewer runs.
        """
        ...


class Projection(Protocol):
    """The rule that derives rows from events, with a checkpoint under its name."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int:
        """Returns the version. It increases when the same events give other rows than before."""
        ...

    @property
    def settings(self) -> str | None:
        """Returns what the rows depend on beside the events, as JSON; None for nothing."""
        ...

    @property
    def tables(self) -> Sequence[Table]: ...

    @property
    def is_own(self) -> bool:
        """True for one of the application: an error in it concerns no other projection."""
        ...

    def start_batch(self, fold: BatchFold) -> Batch:
        """Returns an empty batch over the fold that it shares with other projections."""
        ...


class FoldedBatch:
    """The base of batches that need nothing but the folded runs."""

    held_bytes = 0

    def __init__(self, fold: BatchFold) -> None:
        self.fold = fold

    def add_page(self, page: Sequence[RecordedEvent]) -> None:
        """Adds the next events to the fold."""
        self.fold.add_page(page)
