"""The runs of one batch as the functions of an application see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from projections.folding.batch_fold import BatchFold, FoldedRun
from projections.folding.rates import PriceList
from projections.projectors.projection import FoldedBatch
from projections.projectors.run_history import RunHistory
from tracker.core.events import is_run_stream
from tracker.errors import StoreUnavailable
from tracker.event_store.store import RecordedEvent

_EVENT_BYTES = 1500

T = TypeVar("T")


class RunsRefused(Exception):
    """The function of a projection raised for some runs: by their keys, what it raised."""

    def __init__(self, errors: Mapping[str, Exception]) -> None:
        super().__init__(f"{len(errors)} runs were refused")
        self.errors = errors


class OwnBatch(FoldedBatch, Generic[T]):
    """The runs of one batch with their histories, and what a function made of each."""

    def __init__(self, fold: BatchFold, prices: PriceList | None) -> None:
        super().__init__(fold)
        self._prices = prices
        self._new: dict[str, list[RecordedEvent]] = {}
        self._earlier: Mapping[str, Sequence[RecordedEvent]] | None = None
        self.made: dict[str, T] = {}

    def add_page(self, page: Sequence[RecordedEvent]) -> None:
        """Adds the next events to the fold, and keeps those of runs."""
        super().add_page(page)
        self.held_bytes += _EVENT_BYTES * len(page)
        for recorded in page:
            if not is_run_stream(recorded.stream):
                continue
            if recorded.version == 1:
                # Those before, if any, are of a history that was forgotten after it was read.
                self._new[recorded.stream] = []
            self._new.setdefault(recorded.stream, []).append(recorded)

    def history(self, run: FoldedRun) -> RunHistory:
        """Returns a run after the batch; its events are read on first use."""

        def read() -> Sequence[RecordedEvent]:
            return [*self._read_earlier(run), *self._new[run.key]]

        return RunHistory.of_folded(run.key, read, run.measured, run.values, self._prices)

    def earlier_history(self, run: FoldedRun) -> RunHistory | None:
        """Returns a run before the batch; None for one that began in it."""
        events = self._read_earlier(run)
        return RunHistory(run.key, events, prices=self._prices) if events else None

    def make_all(self, runs: Sequence[FoldedRun], make: Callable[[FoldedRun], T]) -> None:
        """Makes `made` of each run, once. Raises RunsRefused with the errors of all runs."""
        errors: dict[str, Exception] = {}
        for run in runs:
            if run.key not in self.made:
                try:
                    self.made[run.key] = make(run)
                except (MemoryError, StoreUnavailable):
                    raise
                except Exception as error:
                    errors[run.key] = error
        if errors:
            raise RunsRefused(errors)

    def _read_earlier(self, run: FoldedRun) -> Sequence[RecordedEvent]:
        if run.is_new:
            return ()
        if self._earlier is None:
            # All at once: a query for each run would take far longer.
            known = [key for key, events in self._new.items() if events[0].version > 1]
            self._earlier = self.fold.read_earlier(known)
        return self._earlier[run.key]
