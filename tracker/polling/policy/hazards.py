"""Hazard models: the probability that a run of some age changes, counted in bins of age."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

from tracker.core.recent_dict import RecentDict
from tracker.core.state import RunState

REFRESH_SECONDS = 5.0

# A model takes about 10 kB. One that is dropped begins again with what all models have learned.
_MODELS = 1_000

BINS = 48
_FIRST_EDGE_SECONDS = 0.25
_RATIO = 1.28

# The lower edges, in seconds: 0, then geometric up to seven and a half hours.
EDGES = (0.0, *(_FIRST_EDGE_SECONDS * _RATIO**number for number in range(BINS - 1)))
_WIDTHS = tuple(b - a for a, b in pairwise(EDGES))
_MIDDLES = (*(a + w / 2 for a, w in zip(EDGES, _WIDTHS, strict=False)), EDGES[-1] * _RATIO)

# Models that are kept between starts; the most changes with which one of them, and a pool, begins.
_KEPT_MODELS, _KEPT_CHANGES, _KEPT_IN_POOL = 50, 100.0, 1_000.0

# The weight of the pool against the counts of one model, in events.
_TRUST = 2.0


def bin_of(age: float) -> int:
    """Returns the index of the bin of an age, in seconds."""
    return bisect_right(EDGES, age) - 1


class Counts:
    """The changes of runs in each bin of age, and the seconds in which runs did not change."""

    __slots__ = ("_parts", "_whole", "events")

    def __init__(self) -> None:
        self.events = [0.0] * BINS
        # Seconds in bins that were entered or left midway.
        self._parts = [0.0] * BINS
        # Bins that were crossed from edge to edge, as the difference to the bin before, because
        # the time between two polls may cross many bins.
        self._whole = [0.0] * BINS

    @property
    def exposure(self) -> list[float]:
        """The seconds of runs that did not change, in each bin."""
        crossed = list(accumulate(self._whole))
        # The last bin has no end.
        assert not crossed[-1]
        return [
            part + times * width
            for part, times, width in zip(self._parts, crossed, (*_WIDTHS, 0.0), strict=True)
        ]

    def add_exposure(self, since: float, until: float) -> None:
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

    def add_change(self, age: float) -> None:
        """Counts a run that changed at an age, in seconds."""
        self.events[bin_of(age)] += 1.0

    def to_document(self) -> dict[str, list[float]]:
        """Returns the changes and the seconds of each bin that has any, by its number."""
        bins = zip(self.events, self.exposure, strict=True)
        rounded = ([round(events, 3), round(seconds, 2)] for events, seconds in bins)
        return {str(number): counts for number, counts in enumerate(rounded) if any(counts)}

    @classmethod
    def of_document(cls, document: Mapping[str, Sequence[float]], most: float) -> Counts:
        """Returns the counts of a document, scaled down to at most so many changes.

        What was long ago then weighs no more than what is seen now.
        """
        counts, total = cls(), sum(events for events, _ in document.values())
        scale = min(1.0, most / total) if total else 1.0
        for number, (events, seconds) in document.items():
            counts.events[int(number)] = events * scale
            counts._parts[int(number)] = seconds * scale
        return counts

    def merge_into(self, into: Counts, merged: Counts) -> None:
        """Merges the counts since the last merge into `into`; `merged` remembers that merge."""
        for mine, theirs, before in (
            (self.events, into.events, merged.events),
            (self._parts, into._parts, merged._parts),
            (self._whole, into._whole, merged._whole),
        ):
            for number, value in enumerate(mine):
                theirs[number] += value - before[number]
            before[:] = mine


def pooled_hazards(counts: Counts) -> list[float]:
    """Returns the hazard per second in each bin, by the counts of all models together.

    Without counts the hazard falls with the age, so that the delay between polls grows with the
    square root of the age.
    """
    return [
        (events + 1.0) / (exposure + middle + 1.0)
        for events, exposure, middle in zip(counts.events, counts.exposure, _MIDDLES, strict=True)
    ]


def model_hazards(counts: Counts, pool: Sequence[float]) -> list[float]:
    """Returns the hazard in each bin of one model, drawn to the `pool` where counts are few."""
    return [
        (events + _TRUST) / (exposure + _TRUST / hazard)
        for events, exposure, hazard in zip(counts.events, counts.exposure, pool, strict=True)
    ]


class Curve:
    """The share of a run by its age (the square root of its hazard), and its integral.

    `shares` has the share for each bin.
    """

    __slots__ = ("_integral", "_offsets", "shares")

    def __init__(self, hazards: Sequence[float]) -> None:
        self.shares = tuple(math.sqrt(hazard) for hazard in hazards)
        earned = (s * w for s, w in zip(self.shares, _WIDTHS, strict=False))
        # At each edge, and infinite after the last; within a bin it is offset + share * age.
        self._integral = (0.0, *accumulate(earned), math.inf)
        self._offsets = tuple(
            i - s * edge for i, s, edge in zip(self._integral, self.shares, EDGES, strict=False)
        )

    def delay(self, age: float, place: int, earned: float) -> float:
        """Returns the seconds in which a run of this age, in bin `place`, earns so much."""
        share = self.shares[place]
        wanted = self._offsets[place] + share * age + earned
        if wanted < self._integral[place + 1]:
            return earned / share
        place = bisect_right(self._integral, wanted, place + 1) - 1
        return (wanted - self._offsets[place]) / self.shares[place] - age


class HazardModel:
    """The hazard of the runs of one assistant and model that work, or that need an action."""

    __slots__ = ("counts", "curve", "needs_action", "pooled", "refreshed_at")

    def __init__(self, curve: Curve, now: float, *, needs_action: bool) -> None:
        self.counts = Counts()
        # The counts as they were when they were last merged into the pool.
        self.pooled = Counts()
        self.curve = curve
        # When the curve was computed; monotonic seconds.
        self.refreshed_at = now
        self.needs_action = needs_action


class HazardModels:
    """The hazard models of one source used last, and two pools: of working and of waiting runs."""

    def __init__(self) -> None:
        self._models: RecentDict[tuple[str | None, str | None, bool], HazardModel] = RecentDict(
            _MODELS
        )
        self._pools = {False: Counts(), True: Counts()}
        self._unknown: HazardModel | None = None

    def for_state(self, state: RunState, now: float) -> HazardModel:
        """Returns the model of a run in a state."""
        key = (state.assistant_id, state.model, state.needs_action)
        model = self._models.get(key)
        if model is None:
            model = self._create(now, needs_action=state.needs_action)
            self._models.put(key, model)
        return model

    def for_unknown(self, now: float) -> HazardModel:
        """Returns the model for a run whose assistant and model are not known yet."""
        if self._unknown is None:
            self._unknown = self._create(now, needs_action=False)
        return self._unknown

    def to_document(self) -> dict[str, Any]:
        """Returns the pools and the models used last as a document of JSON."""
        for _, model in self._models.recent(_MODELS):
            model.counts.merge_into(self._pools[model.needs_action], model.pooled)
        return {
            "pools": {str(int(key)): pool.to_document() for key, pool in self._pools.items()},
            "models": [
                [*key, model.counts.to_document()]
                for key, model in self._models.recent(_KEPT_MODELS)
            ],
        }

    @classmethod
    def of_document(cls, document: Mapping[str, Any], now: float) -> HazardModels:
        """Returns the models of a document. Those that it lacks begin with the pools."""
        models = cls()
        for key, pool in document.get("pools", {}).items():
            models._pools[key == "1"] = Counts.of_document(pool, _KEPT_IN_POOL)
        for assistant_id, name, needs_action, counts in reversed(document.get("models", ())):
            model = models._create(now, needs_action=needs_action)
            model.counts = Counts.of_document(counts, _KEPT_CHANGES)
            model.pooled = Counts.of_document(counts, _KEPT_CHANGES)
            models.refresh(model, now)
            models._models.put((assistant_id, name, needs_action), model)
        return models

    def refresh(self, model: HazardModel, now: float) -> None:
        """Recomputes the curve of a model from the counts so far."""
        pool = self._pools[model.needs_action]
        model.counts.merge_into(pool, model.pooled)
        model.curve = Curve(model_hazards(model.counts, pooled_hazards(pool)))
        model.refreshed_at = now

    def _create(self, now: float, *, needs_action: bool) -> HazardModel:
        hazards = model_hazards(Counts(), pooled_hazards(self._pools[needs_action]))
        return HazardModel(Curve(hazards), now, needs_action=needs_action)
