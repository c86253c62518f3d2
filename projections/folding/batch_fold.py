"""One fold that all projections of a batch share: the runs that its events change.

Rows are made of whole histories. For a run whose first event is not in the batch, the earlier
events are read again from the event store, so that no table has to keep the state of a fold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from projections.folding.kept_histories import KeptHistories, KeptHistory
from projections.folding.run_row import RunTrace, row_values
from projections.folding.status_trace import Measured, fold
from projections.folding.waits import estimate_bytes
from projections.row_types import RunRow, field_names
from tracker.core.events import ConfigurationRecorded, RunActionRequired, Unreadable
from tracker.core.status import ENDED
from tracker.event_store.store import EventStore, RecordedEvent

# A history with its trace, without its texts.
_HISTORY_BYTES = 3000
# A history with more of the texts of calls is read again.
_KEPT_BYTES = 1_000_000
_ENDED_AT = field_names(RunRow).index("ended_at")


class FoldedRun(NamedTuple):
    """A run after the events of a batch."""

    key: str
    # True if its first event is in the batch.
    is_new: bool
    measured: Measured
    # The row after the batch, as returned by `row_values`.
    values: Sequence[Any]
    # The row before the batch if the run had ended by then, else None.
    before: Sequence[Any] | None
    # True if the batch merged phases that earlier batches wrote, or ended the run before the last.
    has_fewer_phases: bool
    # True if earlier batches may have written its pauses under other numbers.
    has_moved_pauses: bool


class BatchFold:
    """The events of one batch, folded page by page, on top of the earlier events of their runs.

    The first projection that adds a page has it folded for all of them. `pruned` has the keys of
    the runs that are left out of the tables of runs; the rollups count them nevertheless. `aside`
    has the runs that cannot be folded, and why: nothing of them is written. `kept` has histories
    of earlier batches.
    """

    def __init__(self, store: EventStore, position: int, kept: KeptHistories | None = None) -> None:
        self._store, self._position = store, position
        self._kept = KeptHistories() if kept is None else kept
        # The positions of the last events of long histories.
        self._last: dict[str, int] = {}
        self._earlier: dict[str, list[RecordedEvent]] = {}
        self._histories: dict[str, RunTrace] = {}
        self._before: dict[str, list[Any]] = {}
        self._new: set[str] = set()
        self._phases_before: dict[str, int] = {}
        self._folded_to = position
        self._text_bytes = 0
        self._finished: dict[str, FoldedRun] = {}
        # The runs to write now; None for all.
        self._chosen: frozenset[str] | None = None
        self.pruned: frozenset[str] = frozenset()
        self.aside: dict[str, str] = {}

    @property
    def held_bytes(self) -> int:
        """Returns roughly how much memory the histories take."""
        return _HISTORY_BYTES * len(self._histories) + self._text_bytes

    def read_earlier(self, keys: Iterable[str]) -> dict[str, list[RecordedEvent]]:
        """Returns the events of each run before the batch, oldest first."""
        wanted = list(keys)
        unread = [key for key in wanted if key not in self._earlier]
        if unread:
            for key, history in self._store.read_many(unread).items():
                self._earlier[key] = [it for it in history if it.position <= self._position]
        return {key: self._earlier[key] for key in wanted}

    def add_page(self, page: Sequence[RecordedEvent]) -> None:
        """Folds a page, unless another projection has added it already."""
        if page[-1].position <= self._folded_to:
            return
        histories = self._histories
        known: dict[str, RunTrace] = {}
        added: list[RunTrace] = []
        shortest = self._kept.shortest
        for position, key, version, event in page:
            if version == 1 and key in histories:
                # Its earlier events were forgotten after they were read.
                self.begin_again(key)
            if version >= shortest:
                self._last[key] = position
            if key not in histories and type(event) is not ConfigurationRecorded:
                kept = self._take(key, version) if version > shortest else None
                history = histories[key] = kept or RunTrace(key)
                added.append(history)
                if version == 1:
                    self._new.add(key)
                elif kept is None:
                    known[key] = history
        if known:
            self._fold_earlier(known)
        for recorded in page:
            found = histories.get(recorded[1])
            if found is not None:
                try:
                    fold(found, recorded)
                except Exception as error:
                    self.set_aside(recorded, error)
                if type(recorded[3]) is RunActionRequired:
                    self._text_bytes += estimate_bytes(recorded[3].tool_calls)
        self._text_bytes += sum(len(it.metadata) for it in added)
        self._folded_to = page[-1].position

    def new_keys(self, keys: Iterable[str]) -> list[str]:
        """Returns those of the runs whose first event is in the batch."""
        return [key for key in keys if key in self._new]

    def runs(self) -> list[FoldedRun]:
        """Returns the chosen runs of the batch, after all of its events."""
        keys = self._histories if self._chosen is None else self._chosen
        found = (self._finish(key) for key in list(self._histories) if key in keys)
        return [it for it in found if it is not None]

    def choose(self, keys: Iterable[str]) -> None:
        """Limits what is written to these runs."""
        self._chosen = frozenset(keys)

    def is_written(self, key: str) -> bool:
        """True if the rows of a run are to be written now."""
        is_chosen = self._chosen is None or key in self._chosen
        return is_chosen and key not in self.pruned and key not in self.aside

    def set_aside(self, recorded: RecordedEvent, reason: object) -> None:
        """Leaves a run out, since one of its events cannot be read or applied."""
        if isinstance(reason, Exception):
            reason = f"{type(reason).__name__}: {reason}"
        position, stream, version, event = recorded
        self._histories.pop(stream, None)
        topic = "" if isinstance(event, Unreadable) else f", {event.topic}"
        self.aside.setdefault(stream, f"version {version} (position {position}{topic}): {reason}")

    def begin_again(self, key: str) -> None:
        """Drops what was read of a run that was forgotten meanwhile, and has begun again."""
        found: list[dict[str, Any]] = [self._histories, self._before, self._phases_before]
        for known in (*found, self._last, self.aside):
            known.pop(key, None)

    def unpruned_runs(self) -> Iterator[FoldedRun]:
        """Yields the runs of the batch that are not pruned."""
        return (it for it in self.runs() if it.key not in self.pruned)

    def mark_pruned(self, before: int) -> list[str]:
        """Marks the runs that ended before a moment; returns those that may have rows."""
        ends = ((it.key, it.values[_ENDED_AT]) for it in self.runs())
        self.pruned = frozenset(key for key, end in ends if end is not None and end < before)
        return [key for key in self.pruned if key not in self._new]

    def keep_long_histories(self) -> None:
        """Keeps the histories of long runs for later batches, once this one is committed."""
        for key, position in self._last.items():
            run = self._finished.get(key)
            if run is None or key in self.aside:
                continue
            history = self._histories[key]
            if history.held_bytes <= _KEPT_BYTES:
                is_ended = run.measured.line[-1].status in ENDED
                row = run.values if is_ended else None
                self._kept.keep(KeptHistory(history, position, run.measured.count_phases(), row))

    def _take(self, key: str, version: int) -> RunTrace | None:
        """Returns the history of a run before the batch, if it is kept and still the right one."""
        kept = self._kept.take(key)
        if kept is None or kept.history.version != version - 1:
            return None
        # Positions are used once, so that a history that was forgotten and began again differs.
        recorded = self._store.read(key, version - 2)
        if not recorded or recorded[0].position != kept.position:
            return None
        self._phases_before[key] = kept.phases
        if kept.row is not None:
            self._before[key] = list(kept.row)
        return kept.history

    def _fold_earlier(self, known: dict[str, RunTrace]) -> None:
        for key, events in self.read_earlier(known).items():
            history = known[key]
            for recorded in events:
                try:
                    fold(history, recorded)
                except Exception as error:
                    self.set_aside(recorded, error)
                    break
            if key in self.aside:
                continue
            self._text_bytes += history.held_bytes
            if not history.transitions:
                continue
            measured = history.measure()
            self._phases_before[key] = measured.count_phases()
            if history.status in ENDED:
                self._before[key] = row_values(history, measured)

    def _finish(self, key: str) -> FoldedRun | None:
        """Returns a run after its events; None if its rows cannot be made."""
        found = self._finished.get(key)
        if found is None:
            try:
                found = self._finished[key] = self._make_run(self._histories[key])
            except Exception as error:
                del self._histories[key]
                self.aside[key] = f"its rows cannot be made: {type(error).__name__}: {error}"
        return found

    def _make_run(self, run: RunTrace) -> FoldedRun:
        measured = run.measure()
        before = self._before.get(run.key)
        phases_before = self._phases_before.get(run.key, 0)
        has_fewer = phases_before > 0 and measured.count_phases() < phases_before
        is_new = run.key in self._new
        values = row_values(run, measured)
        has_moved = not is_new and bool(run.steps)
        return FoldedRun(run.key, is_new, measured, values, before, has_fewer, has_moved)
