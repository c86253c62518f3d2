"""How likely a run of some kind is to change at an age: counted in bins, and integrated. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise

BINS = 48
_FIRST_SECONDS = 0.25
_RATIO = 1.28

# The lower edges, in seconds: 0, then geometric up to seven and a half hours.
EDGES = (0.0, *(_FIRST_SECONDS * _RATIO**number for number in range(BINS - 1)))
_WIDTHS = tuple(b - a for a, b in pairwise(EDGES))
_MIDDLES = (*(a + w / 2 for a, w in zip(EDGES, _WIDTHS, strict=False)), EDGES[-1] * _RATIO)

# How many events' worth of trust the pool has against the counts of one kind.
_TRUST = 2.0


class Counts:
    """Per bin of age: how many changes were seen, and for how long runs were seen without one."""

    __slots__ = ("events", "exposure")

    def __init__(self) -> None:
        self.events = [0.0] * BINS
        self.exposure = [0.0] * BINS

    def survived(self, since: float, until: float) -> None:
        """Counts a run that did not change between two ages, in seconds."""
        first = bisect_right(EDGES, since) - 1
        # As it mostly is: a wait is shorter than a bin.
        if first + 1 < BINS and since <= until <= EDGES[first + 1]:
            self.exposure[first] += until - since
            return
        while until > since:
            edge = EDGES[first + 1] if first + 1 < BINS else math.inf
            self.exposure[first] += min(until, edge) - since
            since, first = edge, first + 1

    def changed(self, age: float) -> None:
        """Counts a run that changed at an age, in seconds."""
        self.events[bisect_right(EDGES, age) - 1] += 1.0

    def pour(self, into: Counts, poured: Counts) -> None:
        """Adds to `into` what is not yet in `poured`, which is what was added before."""
        for mine, theirs, before in (
            (self.events, into.events, poured.events),
            (self.exposure, into.exposure, poured.exposure),
        ):
            for number, value in enumerate(mine):
                theirs[number] += value - before[number]
            before[:] = mine


def prior(counts: Counts) -> list[float]:
    """The hazard in each bin by the counts of all kinds together, a second (`polling.md`).

    Without counts it falls with the age, which is polling on the square root of the age.
    """
    return [
        (events + 1.0) / (exposure + middle + 1.0)
        for events, exposure, middle in zip(counts.events, counts.exposure, _MIDDLES, strict=True)
    ]


def learned(counts: Counts, pool: Sequence[float]) -> list[float]:
    """The hazard in each bin of one kind, drawn to the `pool` where there are few counts."""
    return [
        (events + _TRUST) / (exposure + _TRUST / hazard)
        for events, exposure, hazard in zip(counts.events, counts.exposure, pool, strict=True)
    ]


class Curve:
    """The share of a run by its age, the square root of its hazard, and the integral of it."""

    __slots__ = ("_integral", "_shares")

    def __init__(self, hazards: Sequence[float]) -> None:
        self._shares = tuple(math.sqrt(hazard) for hazard in hazards)
        earned = (s * w for s, w in zip(self._shares, _WIDTHS, strict=False))
        self._integral = (0.0, *accumulate(earned))

    def share(self, age: float) -> float:
        """The share at an age in seconds."""
        return self._shares[bisect_right(EDGES, age) - 1]

    def after(self, age: float, earned: float) -> float:
        """The age at which a run of this age will have earned so much more."""
        place = bisect_right(EDGES, age) - 1
        wanted = self._integral[place] + self._shares[place] * (age - EDGES[place]) + earned
        if place + 1 < BINS and wanted >= self._integral[place + 1]:
            place = bisect_right(self._integral, wanted) - 1
        return EDGES[place] + (wanted - self._integral[place]) / self._shares[place]
