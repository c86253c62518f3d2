"""A timer wheel: runs by the time at which their next poll is due."""

from __future__ import annotations

import heapq
from math import ceil, floor
from operator import attrgetter

from tracker.polling.watched_run import WatchedRun

SLOT_SECONDS = 0.01
_EARLY_SLOTS = 256


_by_due = attrgetter("due")


class TimerWheel:
    """Runs by the time at which they are due, in slots of 10 ms of monotonic time.

    Adding is O(1). So is moving: it leaves the old entry behind, to be skipped later. A run knows
    its slot by the list of the runs in it.
    """

    def __init__(self) -> None:
        self._slots: dict[int, list[WatchedRun]] = {}
        # The last slot that was emptied.
        self._turned: int | None = None

    def add(self, watched: WatchedRun, due: float) -> None:
        """Adds a run at the time at which it is due, or moves it there."""
        # Rounded up: the delay that a service asked for is never shortened.
        slot = ceil(due / SLOT_SECONDS)
        if self._turned is not None and slot <= self._turned:
            slot = self._turned + 1
        entries = self._slots.get(slot)
        if entries is None:
            entries = self._slots[slot] = []
        entries.append(watched)
        watched.due, watched.timer_slot = due, entries

    def pop_early(self, now: float, most: int) -> list[WatchedRun]:
        """Removes and returns the next runs that may be polled before they are due, at most `most`.

        A run that has to wait (`not_before`) is passed over. Looks at the next few slots only.
        """
        popped: list[WatchedRun] = []
        for slot in heapq.nsmallest(_EARLY_SLOTS, self._slots):
            entries = self._slots[slot]
            for watched in entries:
                if (
                    len(popped) < most
                    and watched.timer_slot is entries
                    and watched.not_before <= now
                ):
                    watched.timer_slot = None
                    popped.append(watched)
            # Otherwise the next slots would be full of runs that were moved.
            entries[:] = [watched for watched in entries if watched.timer_slot is entries]
            if not entries:
                del self._slots[slot]
            if len(popped) >= most:
                break
        return popped

    def pop_due(self, now: float) -> list[WatchedRun]:
        """Removes and returns the runs that are due, the longest due first."""
        reached = floor(now / SLOT_SECONDS)
        first = reached if self._turned is None else self._turned + 1
        if self._turned is None or reached - first > len(self._slots):
            slots = sorted(slot for slot in self._slots if slot <= reached)
        else:
            slots = [slot for slot in range(first, reached + 1) if slot in self._slots]
        self._turned = max(reached, first - 1)
        popped: list[WatchedRun] = []
        for slot in slots:
            entries = self._slots.pop(slot)
            for watched in entries:
                if watched.timer_slot is entries:
                    watched.timer_slot = None
                    popped.append(watched)
        popped.sort(key=_by_due)
        return popped
