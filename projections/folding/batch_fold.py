"""One fold for all projections of a batch: the runs that its events change, before and after.

Rows are made of whole histories. A run whose first event is not in the batch has its earlier
events read again from the event store, so that no table needs to keep what a fold goes on from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from projections.folding.phases import PhaseInterval
from projections.folding.run_row import RunHistory, row_values
from projections.folding.status_trace import fold
from projections.row_types import RunRow
from tracker.core.events import ConfigurationRecorded
from tracker.core.status import ENDED
from tracker.event_store.store import EventStore, RecordedEvent

# A history with its trace, without the texts in it.
_HISTORY_BYTES = 3000
_ENDED_AT = RunRow._fields.index("ended_at")


class FoldedRun(NamedTuple):
    """A run as a batch leaves it: its stays and the values of its row, as `row_values` has them.

    `before` has the values before the batch where it had ended by then, else None.
    """

    key: str
    is_new: bool
    stays: Sequence[PhaseInterval]
    values: Sequence[Any]
    before: Sequence[Any] | None
    has_fewer_stays: bool


class BatchFold:
    """The events of one batch, folded page by page, and what was before them.

    Whoever of the projections asks first has a page folded for all. `pruned` has the runs of the
    batch that have no place in the tables of runs any more; the rollups count them all the same.
    """

    def __init__(self, store: EventStore, position: int) -> None:
        self._store, self._position = store, position
        self._past: dict[str, list[RecordedEvent]] = {}
        self._histories: dict[str, RunHistory] = {}
        self._before: dict[str, list[Any]] = {}
        self._new: set[str] = set()
        self._stays_before: dict[str, int] = {}
        self._taken = position
        self._metadata_bytes = 0
        self._finished: list[FoldedRun] | None = None
        self.pruned: frozenset[str] = frozenset()

    @property
    def weight(self) -> int:
        """About how many bytes the histories hold."""
        return _HISTORY_BYTES * len(self._histories) + self._metadata_bytes

    def past(self, keys: Iterable[str]) -> dict[str, list[RecordedEvent]]:
        """The events of each run before the batch, oldest first."""
        wanted = list(keys)
        unread = [key for key in wanted if key not in self._past]
        if unread:
            for key, history in self._store.read_many(unread).items():
                self._past[key] = [it for it in history if it.position <= self._position]
        return {key: self._past[key] for key in wanted}

    def take(self, page: Sequence[RecordedEvent]) -> None:
        """Folds a page, unless it was folded before.

        Raises ValueError or TypeError where the events are not a history of a run.
        """
        if page[-1].position <= self._taken:
            return
        histories = self._histories
        older: dict[str, RunHistory] = {}
        begun: list[RunHistory] = []
        for _, key, version, event in page:
            if key not in histories and type(event) is not ConfigurationRecorded:
                history = histories[key] = RunHistory(key)
                begun.append(history)
                if version > 1:
                    older[key] = history
                else:
                    self._new.add(key)
        if older:
            self._read(older)
        for recorded in page:
            found = histories.get(recorded[1])
            if found is not None:
                fold(found, recorded)
        self._metadata_bytes += sum(len(it.metadata) for it in begun)
        self._taken = page[-1].position

    def runs(self) -> list[FoldedRun]:
        """Every run of the batch, after all of its events."""
        if self._finished is None:
            self._finished = [self._finish(it) for it in self._histories.values()]
        return self._finished

    def kept_runs(self) -> Iterator[FoldedRun]:
        """Those of them that were not pruned."""
        return (it for it in self.runs() if it.key not in self.pruned)

    def prune(self, before: int) -> list[str]:
        """Prunes the runs that ended before a moment; gives those that had earlier events."""
        ends = ((it.key, it.values[_ENDED_AT]) for it in self.runs())
        self.pruned = frozenset(key for key, end in ends if end is not None and end < before)
        return [key for key in self.pruned if key not in self._new]

    def _read(self, older: dict[str, RunHistory]) -> None:
        for key, events in self.past(older).items():
            history = older[key]
            for recorded in events:
                fold(history, recorded)
            transitions = history.transitions
            self._stays_before[key] = len(history.stays() if history.steps else transitions)
            if history.transitions and history.status in ENDED:
                self._before[key] = row_values(history, history.stays())

    def _finish(self, run: RunHistory) -> FoldedRun:
        stays = run.stays()
        has_fewer = len(stays) < self._stays_before.get(run.key, 0)
        before = self._before.get(run.key)
        is_new = run.key in self._new
        return FoldedRun(run.key, is_new, stays, row_values(run, stays), before, has_fewer)
