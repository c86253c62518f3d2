"""Folded histories of long runs, kept between batches: to read them again would take long."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

from projections.folding.run_row import RunTrace

# Shorter histories are read again in a few milliseconds.
_LONG = 100
# Of 5,000 events each, they take about 100 MB.
_RUNS = 100


class KeptHistory(NamedTuple):
    """A history after its event at a position, with what the tables have of it."""

    history: RunTrace
    position: int
    phases: int
    # The row if the run has ended, else None.
    row: Sequence[Any] | None


class KeptHistories:
    """The histories of the long runs that were folded last; a history is in use by one batch.

    They are only a copy: the last event of one that is taken is compared with the event store.
    Histories of fewer events than `shortest` are not kept.
    """

    def __init__(self, shortest: int = _LONG) -> None:
        self.shortest = shortest
        self._kept: OrderedDict[str, KeptHistory] = OrderedDict()

    def take(self, key: str) -> KeptHistory | None:
        """Removes and returns a history; None if it is not kept."""
        return self._kept.pop(key, None)

    def keep(self, kept: KeptHistory) -> None:
        """Keeps a history until it is taken, or others were used later."""
        self._kept[kept.history.key] = kept
        if len(self._kept) > _RUNS:
            self._kept.popitem(last=False)
