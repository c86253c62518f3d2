"""One batch of events, which several projections fold together and write together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

from projections.database.refusals import is_refusal, is_unavailable, is_wrong_statement
from projections.database.run_deletion import delete_rows, delete_runs
from projections.folding.batch_fold import BatchFold
from projections.folding.kept_histories import KeptHistories
from projections.folding.micros import micros
from projections.projectors.own_batch import RunsRefused
from projections.projectors.projection import Batch, FoldedBatch, Projection
from projections.runner.checkpoint import CheckpointMoved, read_pruned_before
from tracker.core.events import Unreadable, is_run_stream
from tracker.event_store.store import EventStore, RecordedEvent


class MustRunAlone(Exception):
    """A projection of the application failed in a batch that it shared with others."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} has to run alone")
        self.name = name


class TableFailed(Exception):
    """The table of a projection of the application cannot be written at all."""


class SharedBatch:
    """The events of one batch after a position, for projections whose tables are there.

    A run whose events cannot be read or applied, or one of whose rows the database refuses, is
    set aside: nothing of it is written to any of their tables, so that the sums stay those of the
    rows. `aside` has these runs with the reasons.
    """

    def __init__(
        self,
        store: EventStore,
        projections: Sequence[Projection],
        position: int,
        *,
        has_pruned: bool,
        kept: KeptHistories | None = None,
    ) -> None:
        self._projections = projections
        self._fold = BatchFold(store, position, kept)
        self._batches = [it.start_batch(self._fold) for it in projections]
        self._has_pruned = has_pruned
        # Only the fold knows which runs have ended, and not every projection needs it.
        self._folding: list[Batch | FoldedBatch] = [
            *self._batches,
            *([FoldedBatch(self._fold)] if has_pruned else []),
        ]
        self._streams: dict[str, None] = {}
        # What the functions of an application raised, by the runs that are set aside for it.
        self.errors: dict[str, Exception] = {}

    @property
    def aside(self) -> dict[str, str]:
        """The runs that are set aside by this batch, and why."""
        return self._fold.aside

    @property
    def held_bytes(self) -> int:
        """Returns roughly how much memory the batch takes."""
        return self._fold.held_bytes + sum(it.held_bytes for it in self._folding)

    def add_page(self, page: Sequence[RecordedEvent]) -> None:
        """Folds the next events for all projections."""
        self._streams.update(dict.fromkeys(it.stream for it in page))
        for recorded in page if self.aside else ():
            if recorded.version == 1 and recorded.stream in self.aside:
                self._fold.begin_again(recorded.stream)
        if any(type(it.event) is Unreadable for it in page):
            for recorded in page:
                if isinstance(recorded.event, Unreadable) and is_run_stream(recorded.stream):
                    self._fold.set_aside(recorded, recorded.event.reason)
            page = [it for it in page if type(it.event) is not Unreadable]
        if self.aside:
            page = [it for it in page if it.stream not in self.aside]
        if page:
            for batch in self._folding:
                batch.add_page(page)

    def write(self, connection: Connection) -> None:
        """Writes the rows of all runs but those that are set aside.

        Raises CheckpointMoved if runs were pruned for the first time since the batch began, and
        MustRunAlone where a projection of the application fails that shares the batch.
        """
        before = read_pruned_before(connection)
        if before is not None:
            if not self._has_pruned:
                raise CheckpointMoved("runs were pruned for the first time during the batch")
            pruned = self._fold.mark_pruned(micros(before))
            for projection in self._projections:
                with self._isolate(projection):
                    delete_runs(connection, projection.tables, pruned)
        self._write_runs(connection, [it for it in self._streams if it not in self.aside])

    def keep_long_histories(self) -> None:
        """Keeps the histories of long runs for later batches, once this one is committed."""
        self._fold.keep_long_histories()

    def _write_runs(self, connection: Connection, streams: Sequence[str]) -> None:
        """Writes the rows of these runs; halves them again and again to find a refused one."""
        if not streams:
            return
        self._fold.choose(streams)
        try:
            with connection.begin_nested():
                self._write_batches(connection, streams)
        except RunsRefused as error:
            self.errors |= error.errors
            for stream, reason in error.errors.items():
                self.aside[stream] = _describe(reason)
            self._write_runs(connection, [it for it in streams if it not in error.errors])
            return
        except Exception as error:
            if isinstance(error, MustRunAlone | TableFailed) or not is_refusal(error):
                raise
            if len(streams) == 1:
                self.aside[streams[0]] = _describe(error)
                return
        else:
            return
        middle = len(streams) // 2
        self._write_runs(connection, streams[:middle])
        self._write_runs(connection, streams[middle:])

    def _write_batches(self, connection: Connection, streams: Sequence[str]) -> None:
        new = self._fold.new_keys(streams)
        for projection, batch in zip(self._projections, self._batches, strict=True):
            with self._isolate(projection):
                # The rows of new runs are those of a history that was forgotten, if any.
                for table in projection.tables:
                    if "run_key" in table.c:
                        delete_rows(connection, table, new)
                batch.write(connection, _public)

    @contextmanager
    def _isolate(self, projection: Projection) -> Iterator[None]:
        """Raises MustRunAlone, or TableFailed, for errors in the table of an application."""
        try:
            yield
        except Exception as error:
            is_wrong = isinstance(error, DBAPIError) and is_wrong_statement(error)
            is_gone = isinstance(error, DBAPIError) and is_unavailable(error) and not is_wrong
            if not projection.is_own or is_gone:
                raise
            if len(self._projections) > 1:
                raise MustRunAlone(projection.name) from error
            if is_wrong:
                raise TableFailed(str(getattr(error, "orig", error))) from error
            raise


def _public(table: Table) -> Table:
    return table


def _describe(error: Exception) -> str:
    if isinstance(error, DBAPIError):
        return f"the database refuses a row of it: {str(error.orig).strip()}"
    return f"its rows cannot be made: {type(error).__name__}: {error}"
