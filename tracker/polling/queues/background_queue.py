"""Requests that can wait until no poll is due: for the steps of a run, for the runs of a thread."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

from tracker.errors import RunfoldError
from tracker.polling.policy import rate_limiter
from tracker.sources.source import Source


@dataclass(eq=False, slots=True)
class BackgroundRequest:
    """A request that can wait; `key` says what it is about, in its source.

    It is `due` at a moment in monotonic seconds and `waits` until it is taken. `failures` counts
    the tries in a row that did not come through.
    """

    source: Source
    key: str
    due: float = 0.0
    waits: bool = False
    failures: int = 0


_WAIT_SECONDS = 60.0

E = TypeVar("E", bound=BackgroundRequest)


class BackgroundQueue(Generic[E]):
    """The errands of one kind and source, the longest due first, no two with one key.

    They take `share` of the source's rate at most, and nothing before `held_until`, where they
    were `denied`. Where polls could spend it all, the errands that wait get `claims` of it after
    a minute.
    """

    def __init__(self, share: float, claims: float) -> None:
        self.held_until = -math.inf
        self.denied: RunfoldError | None = None
        self._share = share
        self._claims = claims
        self._known: dict[str, E] = {}
        self._heap: list[tuple[float, int, E]] = []
        self._order = count()
        self._arrival, self._claimed = -math.inf, 0.0

    def __len__(self) -> int:
        """How many there are, those that are being asked included."""
        return len(self._known)

    def find(self, key: str) -> E | None:
        """The errand with that key, if it is not done yet."""
        return self._known.get(key)

    def add(self, errand: E, due: float) -> None:
        """Has an errand wait until it is due, wherever it was before."""
        self._known[errand.key] = errand
        errand.due, errand.waits = due, True
        heapq.heappush(self._heap, (due, next(self._order), errand))

    def is_due(self, now: float) -> bool:
        """Whether one is due and may go, as far as these errands know."""
        while self._heap and self._is_stale(self._heap[0]):
            heapq.heappop(self._heap)
        return bool(self._heap) and self._heap[0][0] <= now and now >= self.held_until

    def claim(self, now: float) -> float:
        """The part of the source's rate that polls leave to these now.

        Else they would wait for ever where polls could spend it all. It grows while they wait,
        so that it comes to what they need and no more.
        """
        if not self.is_due(now):
            return 0.0
        waited = (now - self._heap[0][0]) / _WAIT_SECONDS
        return self._claims * min(waited, 1.0)

    def take(self, now: float, rate: float, *, before_polls: bool = False) -> E | None:
        """Takes out the one that is due, where `rate` is what the whole source gets.

        `before_polls` where polls are due too, which leave only what is claimed.
        """
        pace = rate * self._share
        if (
            not self.is_due(now)
            or rate_limiter.wait(self._arrival, now, pace, rate_limiter.burst(pace)) > 0
        ):
            return None
        if before_polls:
            claimed = rate * self.claim(now)
            if (now - self._claimed) * claimed < 1.0:
                return None
            # What a late tick lost is made up for by the next, and no more than that.
            self._claimed = max(self._claimed, now - 2.0 / claimed) + 1.0 / claimed
        errand = heapq.heappop(self._heap)[2]
        errand.waits = False
        self._arrival = rate_limiter.taken(self._arrival, now, rate * self._share)
        return errand

    def drop(self, errand: E) -> None:
        """Forgets an errand: it is done, or given up."""
        errand.waits = False
        if self._known.get(errand.key) is errand:
            del self._known[errand.key]

    def _is_stale(self, place: tuple[float, int, E]) -> bool:
        due, _, errand = place
        return not errand.waits or errand.due != due
