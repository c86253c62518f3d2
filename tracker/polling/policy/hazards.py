"""How likely a run of some kind is to change at an age: counted in bins, and integrated. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise

from tracker.core.state import RunState

REFRESH_SECONDS = 5.0


BINS = 48
_FIRST_SECONDS = 0.25
_RATIO = 1.28

# The lower edges, in seconds: 0, then geometric up to seven and a half hours.
EDGES = (0.0, *(_FIRST_SECONDS * _RATIO**number for number in range(BINS - 1)))
_WIDTHS = tuple(b - a for a, b in pairwise(EDGES))
_MIDDLES = (*(a + w / 2 for a, w in zip(EDGES, _WIDTHS, strict=False)), EDGES[-1] * _RATIO)

# How many events' worth of trust the pool has against the counts of one kind.
_TRUST = 2.0


def bin_of(age: float) -> int:
    """The place of the bin of an age, in seconds."""
    return bisect_right(EDGES, age) - 1


class Counts:
    """Per bin of age: how many changes were seen, and for how long runs were seen without one."""

    __slots__ = ("_parts", "_whole", "events")

    def __init__(self) -> None:
        self.events = [0.0] * BINS
        # Seconds in bins that were not gone through from edge to edge; and those that were, as
        # how many more than of the bin before, as a wait may go through many of them.
        self._parts = [0.0] * BINS
        self._whole = [0.0] * BINS

    @property
    def exposure(self) -> list[float]:
        """Seconds of runs that did not change, in each bin."""
        gone_through = list(accumulate(self._whole))
        # The last bin has no end.
        assert not gone_through[-1]
        return [
            part + times * width
            for part, times, width in zip(self._parts, gone_through, (*_WIDTHS, 0.0), strict=True)
        ]

    def survived(self, since: float, until: float) -> None:
        """Counts a run that did not change between two ages, in seconds."""
        if until <= since:
            return
        after = bisect_right(EDGES, since)
        if after == BINS or until < EDGES[after]:
            self._parts[after - 1] += until - since
            return
        last = bisect_right(EDGES, until, after) - 1
        self._parts[after - 1] += EDGES[after] - since
        self._parts[last] += until - EDGES[last]
        if last > after:
            self._whole[after] += 1.0
            self._whole[last] -= 1.0

    def changed(self, age: float) -> None:
        """Counts a run that changed at an age, in seconds."""
        self.events[bin_of(age)] += 1.0

    def pour(self, into: Counts, poured: Counts) -> None:
        """Adds to `into` what is not yet in `poured`, which is what was added before."""
        for mine, theirs, before in (
            (self.events, into.events, poured.events),
            (self._parts, into._parts, poured._parts),
            (self._whole, into._whole, poured._whole),
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
    """The share of a run by its age, the square root of its hazard, and the integral of it.

    `shares` has it for each bin.
    """

    __slots__ = ("_integral", "_offsets", "shares")

    def __init__(self, hazards: Sequence[float]) -> None:
        self.shares = tuple(math.sqrt(hazard) for hazard in hazards)
        earned = (s * w for s, w in zip(self.shares, _WIDTHS, strict=False))
        # At each edge, and without end after the last; in a bin it is offset + share * age.
        self._integral = (0.0, *accumulate(earned), math.inf)
        self._offsets = tuple(
            i - s * edge for i, s, edge in zip(self._integral, self.shares, EDGES, strict=False)
        )

    def after(self, age: float, earned: float) -> float:
        """The age at which a run of this age will have earned so much more."""
        return age + self.wait(age, bin_of(age), earned)

    def wait(self, age: float, place: int, earned: float) -> float:
        """In how many seconds a run of this age, in the bin of this place, has earned so much."""
        share = self.shares[place]
        wanted = self._offsets[place] + share * age + earned
        if wanted < self._integral[place + 1]:
            return earned / share
        place = bisect_right(self._integral, wanted, place + 1) - 1
        return (wanted - self._offsets[place]) / self.shares[place] - age


class HazardModel:
    """What is known of the runs of one assistant and model that work, or that wait for an action.

    Its `curve` was `drawn` at a moment, when its counts were `pooled` with those of the others.
    """

    __slots__ = ("counts", "curve", "drawn", "pooled", "waits")

    def __init__(self, curve: Curve, now: float, *, waits: bool) -> None:
        self.counts = Counts()
        self.pooled = Counts()
        self.curve = curve
        self.drawn = now
        self.waits = waits


class HazardModels:
    """The kinds of runs of one source, and what those that work, or wait, have in common."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str | None, str | None, bool], HazardModel] = {}
        self._pools = {False: Counts(), True: Counts()}
        self._unknown: HazardModel | None = None

    def of(self, state: RunState, now: float) -> HazardModel:
        """The kind of a run in a state."""
        key = (state.assistant_id, state.model, state.needs_action)
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = self._new(now, waits=state.needs_action)
        return kind

    def unknown(self, now: float) -> HazardModel:
        """What to expect of a run of which nothing is known but that it has begun."""
        if self._unknown is None:
            self._unknown = self._new(now, waits=False)
        return self._unknown

    def refresh(self, kind: HazardModel, now: float) -> None:
        """Draws the curve of a kind anew from what was counted since."""
        pool = self._pools[kind.waits]
        kind.counts.pour(pool, kind.pooled)
        kind.curve = Curve(learned(kind.counts, prior(pool)))
        kind.drawn = now

    def _new(self, now: float, *, waits: bool) -> HazardModel:
        return HazardModel(Curve(learned(Counts(), prior(self._pools[waits]))), now, waits=waits)
