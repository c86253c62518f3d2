"""Which runs are due: a timer wheel, and the lines that form when more is due than may be asked."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from itertools import count
from operator import attrgetter

from tracker.polling.watched import Watched

SLOT_SECONDS = 0.01
_AT_ONCE_OF_ONE_THREAD = 2.0

_by_due = attrgetter("due")

# When a run was due, and a number that keeps those of one moment in the order they came in.
_Place = tuple[float, int, Watched]


class Wheel:
    """Runs by the moment at which they are due, in slots of 10 ms, on monotonic seconds.

    Adding is O(1), and so is moving, which leaves the old entry behind to be passed over.
    """

    def __init__(self) -> None:
        self._slots: dict[int, list[Watched]] = {}
        self._turned: int | None = None

    def add(self, watched: Watched, due: float) -> None:
        """Puts a run where it is due, wherever it was before."""
        # Rounded up: a wait that a service asked for is never cut short.
        slot = math.ceil(due / SLOT_SECONDS)
        if self._turned is not None and slot <= self._turned:
            slot = self._turned + 1
        watched.due, watched.slot = due, slot
        entries = self._slots.get(slot)
        if entries is None:
            self._slots[slot] = [watched]
        else:
            entries.append(watched)

    def take(self, now: float) -> list[Watched]:
        """Takes the runs out that are due, the longest due first, however late it is."""
        reached = math.floor(now / SLOT_SECONDS)
        first = reached if self._turned is None else self._turned + 1
        if self._turned is None or reached - first > len(self._slots):
            slots = sorted(slot for slot in self._slots if slot <= reached)
        else:
            slots = [slot for slot in range(first, reached + 1) if slot in self._slots]
        self._turned = max(reached, first - 1)
        taken: list[Watched] = []
        for slot in slots:
            for watched in self._slots.pop(slot):
                if watched.slot == slot:
                    watched.slot = None
                    taken.append(watched)
        taken.sort(key=_by_due)
        return taken


class Lines:
    """The runs of one source that are due: a line a thread, the thread of the longest due first.

    One thread gets a quarter of the rate while others wait.
    """

    def __init__(self) -> None:
        # Most threads have one run: the first of a line lies apart, and needs no list.
        self._firsts: dict[str, _Place] = {}
        self._others: dict[str, list[_Place]] = {}
        self._heads: list[_Place] = []
        self._paid: dict[str, float] = {}
        self._paid_at_most = 64
        self._order = count()

    def __len__(self) -> int:
        """How many threads have runs that are due."""
        return len(self._firsts)

    @property
    def runs(self) -> int:
        """How many runs are in line."""
        # One that was moved has left its old place behind.
        return len({place[2] for place in self._places() if place[2].in_line})

    def add(self, watched: Watched) -> None:
        """Puts a run in line; one that was refused gets its old place back by its `due`."""
        place, thread_id = (watched.due, next(self._order), watched), watched.thread_id
        watched.in_line = True
        first = self._firsts.get(thread_id)
        if first is not None and first < place:
            heapq.heappush(self._others.setdefault(thread_id, []), place)
            return
        if first is not None:
            heapq.heappush(self._others.setdefault(thread_id, []), first)
        self._firsts[thread_id] = place
        heapq.heappush(self._heads, place)

    def take(self, now: float, rate: float) -> Watched | None:
        """The run to ask about next, where `rate` is what the whole source gets."""
        over: list[_Place] = []
        found: _Place | None = None
        while self._heads and found is None:
            place = heapq.heappop(self._heads)
            watched = place[2]
            if self._firsts.get(watched.thread_id) is not place:
                continue
            if not watched.in_line:
                self._move_up(watched.thread_id)
            elif self._is_over(watched.thread_id, now, rate):
                over.append(place)
            else:
                found = place
        # Nobody else waits: it may have what the others leave.
        if found is None and over:
            found = over.pop(0)
        for place in over:
            heapq.heappush(self._heads, place)
        if found is None:
            return None
        watched = found[2]
        watched.in_line = False
        self._move_up(watched.thread_id)
        self._pay(watched.thread_id, now, rate)
        return watched

    def _places(self) -> Iterator[_Place]:
        yield from self._firsts.values()
        for others in self._others.values():
            yield from others

    def _move_up(self, thread_id: str) -> None:
        others = self._others.get(thread_id)
        if others is None:
            del self._firsts[thread_id]
            return
        place = self._firsts[thread_id] = heapq.heappop(others)
        heapq.heappush(self._heads, place)
        if not others:
            del self._others[thread_id]

    def _is_over(self, thread_id: str, now: float, rate: float) -> bool:
        paid = self._paid.get(thread_id)
        return paid is not None and paid - now > (_AT_ONCE_OF_ONE_THREAD - 1) / (rate / 4)

    def _pay(self, thread_id: str, now: float, rate: float) -> None:
        if not self._firsts:
            self._paid.clear()
            return
        self._paid[thread_id] = max(self._paid.get(thread_id, now), now) + 4 / rate
        if len(self._paid) > self._paid_at_most:
            self._paid = {thread: paid for thread, paid in self._paid.items() if paid > now}
            self._paid_at_most = 2 * len(self._paid) + 64
