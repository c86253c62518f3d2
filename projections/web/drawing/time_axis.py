"""A time axis in per cent of a width, on which long stretches without an edge are folded."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

# A stretch is folded if it is longer than this share of all, and than so many seconds.
FOLD_SHARE, FOLD_SECONDS = 0.22, 45.0
# If more than the first share is left between folds, only stretches above the second are folded.
MOST_LEFT, LONG_FOLD_SHARE = 0.55, 0.40
FOLD_WIDTH = 7.0
# Something has to be left to scale, in seconds.
_LEAST_LEFT = 1e-3
# Between two ticks, in per cent.
TICK_DISTANCE = 11.0

_TICKS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1, 2, 5, 10, 15, 30),
    *(60 * it for it in (1, 2, 5, 10, 15, 30)),
    *(3_600 * it for it in (1, 2, 5, 10, 15)),
    *(86_400 * it for it in (1, 2, 5, 10, 15, 30, 100, 200, 500, 1_000, 5_000, 100_000)),
)


class Fold(NamedTuple):
    """A stretch of time that is drawn narrow."""

    start: float
    end: float


class TimeAxis:
    """Places of moments, which are seconds from any zero, between 0 and 100 per cent."""

    def __init__(
        self, start: float, end: float, folds: Sequence[Fold] = (), width: float = FOLD_WIDTH
    ) -> None:
        self.start, self.end = start, max(end, start + 1e-3)
        self.folds = tuple(folds)
        # Folds never take more than half of the width.
        self.fold_width = min(width, 50.0 / len(folds)) if folds else 0.0
        open_width = 100.0 - self.fold_width * len(self.folds)
        open_seconds = (self.end - self.start) - sum(it.end - it.start for it in self.folds)
        self._scale = open_width / max(open_seconds, 1e-9)
        self._marks, self._places = [self.start], [0.0]
        for fold in self.folds:
            self._add(fold.start, self._scale)
            self._marks.append(fold.end)
            self._places.append(self._places[-1] + self.fold_width)
        self._marks.append(self.end)
        self._places.append(100.0)

    def _add(self, mark: float, scale: float) -> None:
        self._places.append(self._places[-1] + (mark - self._marks[-1]) * scale)
        self._marks.append(mark)

    def place(self, moment: float) -> float:
        """Returns the place of a moment; one outside of the axis is at its end."""
        if moment <= self.start:
            return 0.0
        if moment >= self.end:
            return 100.0
        at = bisect_right(self._marks, moment) - 1
        low, high = self._marks[at], self._marks[at + 1]
        share = (moment - low) / (high - low) if high > low else 0.0
        found = self._places[at] + share * (self._places[at + 1] - self._places[at])
        return min(100.0, max(0.0, found))

    def ticks(self) -> list[float]:
        """Returns round seconds since the start, far enough apart, and none within a fold."""
        step = next((it for it in _TICKS if it * self._scale >= TICK_DISTANCE), None)
        if step is None:
            return [0.0]
        found: list[float] = []
        edges = [self.start, *(it for fold in self.folds for it in fold), self.end]
        for low, high in zip(edges[::2], edges[1::2], strict=True):
            number = -int(-(low - self.start) // step)
            while (seconds := number * step) + self.start <= high:
                place = self.place(self.start + seconds)
                if not found or place - self.place(self.start + found[-1]) >= TICK_DISTANCE:
                    found.append(float(seconds))
                number += 1
        return found


def fold_axis(start: float, end: float, edges: Iterable[float], *, scaled: bool) -> TimeAxis:
    """Returns the axis of a run, folded where nothing happens; with `scaled`, true to scale."""
    length = end - start
    marks = sorted({start, end, *(it for it in edges if start < it < end)})
    stretches = [Fold(low, high) for low, high in pairwise(marks)]
    if scaled or len(stretches) < 2:
        return TimeAxis(start, end)

    def choose(share: float) -> list[Fold]:
        least = max(share * length, FOLD_SECONDS)
        return [it for it in stretches if it.end - it.start > least]

    folds = choose(FOLD_SHARE)
    left = length - sum(it.end - it.start for it in folds)
    if folds and left > MOST_LEFT * length:
        folds = choose(LONG_FOLD_SHARE)
    left = length - sum(it.end - it.start for it in folds)
    return TimeAxis(start, end, folds if left >= _LEAST_LEFT else ())
