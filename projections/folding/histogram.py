"""The buckets of the histograms of durations: logarithmic, so that each is within 1 per cent.

A bucket is named by the seconds that represent all durations in it, so that SQL can calculate
with it. Bounds grow by a constant factor from one microsecond on; multiplication gives the same
bits on every machine, which logarithms do not. After "DDSketch: a fast and fully-mergeable
quantile sketch with relative-error guarantees" (Masson, Rim, Lee; 2019).
"""

from __future__ import annotations

from bisect import bisect_right

_GROWTH = 1.0198
_SHORTEST = 1e-6
# Three hundred years: longer than any run, and than any difference of two timestamps of one.
_LONGEST = 1e10


def _make_bounds() -> tuple[float, ...]:
    bounds = [_SHORTEST]
    while bounds[-1] < _LONGEST:
        bounds.append(bounds[-1] * _GROWTH)
    return tuple(bounds)


_BOUNDS = _make_bounds()
# The value with the same relative distance to both bounds, in six readable digits.
_BUCKETS = (
    0.0,
    *(float(f"{2 * low * _GROWTH / (1 + _GROWTH):.6g}") for low in _BOUNDS),
)


# The last bucket, also for what nothing limits.
UNLIMITED = _BUCKETS[-1]


def bucket_of(seconds: float | None) -> float:
    """Returns the bucket of a duration: within 1 per cent of it, and 0 for less than 1 µs.

    None stands for no limit.
    """
    if seconds is None:
        return UNLIMITED
    return _BUCKETS[bisect_right(_BOUNDS, seconds)]
