"""Folding batches a run at a time: which runs a page changes, and what was before the batch.

Rows are made of whole histories. A run whose first event is not in the batch has its earlier
events read again from the event store, so that no table needs to keep what a fold goes on from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from projections.traces import Trace, fold
from tracker.core.events import ConfigurationRecorded
from tracker.event_store.store import EventStore, RecordedEvent

# A history with its trace, without the texts in it.
HISTORY_BYTES = 3000

_History = TypeVar("_History", bound=Trace)


class Past:
    """The events of runs up to a position, read once for all projections that want them."""

    def __init__(self, store: EventStore, position: int) -> None:
        self._store, self._position = store, position
        self._known: dict[str, list[RecordedEvent]] = {}

    def of(self, keys: Iterable[str]) -> dict[str, list[RecordedEvent]]:
        """The events of each run before the batch, oldest first."""
        wanted = list(keys)
        unread = [key for key in wanted if key not in self._known]
        if unread:
            for key, history in self._store.read_many(unread).items():
                self._known[key] = [it for it in history if it.position <= self._position]
        return {key: self._known[key] for key in wanted}


class Histories(Generic[_History]):
    """The histories of a batch by the key of their run, in the order of their first event."""

    def __init__(self, new: Callable[[str], _History]) -> None:
        self.by_key: dict[str, _History] = {}
        self._new = new

    def take(self, page: Sequence[RecordedEvent], past: Past) -> list[_History]:
        """Folds a page, and gives the histories that it is the first of; raises as `fold` does."""
        histories, new = self.by_key, self._new
        begun: list[_History] = []
        older: dict[str, _History] = {}
        for _, key, version, event in page:
            if key not in histories and type(event) is not ConfigurationRecorded:
                history = histories[key] = new(key)
                begun.append(history)
                if version > 1:
                    older[key] = history
        for key, before in past.of(older).items():
            for recorded in before:
                fold(older[key], recorded)
        for recorded in page:
            found = histories.get(recorded.stream)
            if found is not None:
                fold(found, recorded)
        return begun
