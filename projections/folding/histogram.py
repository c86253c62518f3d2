"""The buckets of the histograms of durations: logarithmic, so that each is within 1 per cent.

A bucket is named by the seconds that stand for all durations in it, which is what SQL can count
with. Bounds grow by a constant factor from a microsecond on; multiplication is exact to the bit
on every machine, where logarithms are not. After "DDSketch: a fast and fully-mergeable quantile
sketch with relative-error guarantees" (Masson, Rim, Lee; 2019).
"""

from __future__ import annotations

from bisect import bisect_right

_GROWTH = 1.0198
_SHORTEST = 1e-6
# Three hundred years: longer than any run, and than what two stamps of one can be apart.
_LONGEST = 1e10


def _bounds() -> tuple[float, ...]:
    found = [_SHORTEST]
    while found[-1] < _LONGEST:
        found.append(found[-1] * _GROWTH)
    return tuple(found)


_BOUNDS = _bounds()
# The value with the same relative distance to both bounds, in digits that can be read.
_BUCKETS = (
    0.0,
    *(float(f"{2 * low * _GROWTH / (1 + _GROWTH):.6g}") for low in _BOUNDS),
)


def bucket_of(seconds: float) -> float:
    """The seconds that stand for a duration: within 1 per cent of it, and 0 for less than 1 µs."""
    return _BUCKETS[bisect_right(_BOUNDS, seconds)]
