"""A timer wheel: runs by the moment at which they are due."""

from __future__ import annotations

from math import ceil, floor
from operator import attrgetter

from tracker.polling.watched_run import WatchedRun

SLOT_SECONDS = 0.01


_by_due = attrgetter("due")


class TimerWheel:
    """Runs by the moment at which they are due, in slots of 10 ms, on monotonic seconds.

    Adding is O(1), and so is moving, which leaves the old entry behind to be passed over.
    A run knows its slot by the list of those in it.
    """

    def __init__(self) -> None:
        self._slots: dict[int, list[WatchedRun]] = {}
        self._turned: int | None = None

    def add(self, watched: WatchedRun, due: float) -> None:
        """Puts a run where it is due, wherever it was before."""
        # Rounded up: a wait that a service asked for is never cut short.
        slot = ceil(due / SLOT_SECONDS)
        if self._turned is not None and slot <= self._turned:
            slot = self._turned + 1
        entries = self._slots.get(slot)
        if entries is None:
            entries = self._slots[slot] = []
        entries.append(watched)
        watched.due, watched.slot = due, entries

    def take(self, now: float) -> list[WatchedRun]:
        """Takes the runs out that are due, the longest due first, however late it is."""
        reached = floor(now / SLOT_SECONDS)
        first = reached if self._turned is None else self._turned + 1
        if self._turned is None or reached - first > len(self._slots):
            slots = sorted(slot for slot in self._slots if slot <= reached)
        else:
            slots = [slot for slot in range(first, reached + 1) if slot in self._slots]
        self._turned = max(reached, first - 1)
        taken: list[WatchedRun] = []
        for slot in slots:
            entries = self._slots.pop(slot)
            for watched in entries:
                if watched.slot is entries:
                    watched.slot = None
                    taken.append(watched)
        taken.sort(key=_by_due)
        return taken
