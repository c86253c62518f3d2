"""Means and percentiles of the durations of ended runs, equal on both databases."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from math import fsum

from sqlalchemy import Connection

from projections.database.schema import runs, timing_buckets, timing_totals
from projections.folding.histogram import UNLIMITED
from projections.folding.rollups import PHASES
from projections.folding.rollups import timing_buckets as buckets_of
from projections.queries.grouping import Grouping, localize_hour, sort_key
from projections.queries.periods import whole_quarters
from projections.queries.rollups import Rollup, read_edge_runs, sum_rollup
from projections.queries.run_groups import group_of, read_groups
from projections.row_types import TimingRow
from tracker.errors import SettingsError

_COUNTS = ("count", "at_least_count", "at_most_count")
_ROLLUP = Rollup(timing_buckets, timing_totals, ("phase", "bucket"), _COUNTS)
_TIMES = (
    *(f"{phase}_seconds" for phase in PHASES),
    *(f"{phase}_{bound}_seconds" for phase in PHASES for bound in ("at_least", "at_most")),
)

# A group, a phase, a bucket in seconds, and how many runs have their duration in it, what it is at
# least, and what it is at most.
_Part = tuple[dict[str, object], str, float, Sequence[int]]
# The number of runs in each bucket.
_Histogram = dict[float, int]
# Of the durations, of what they are at least, and of what they are at most.
_Histograms = tuple[_Histogram, _Histogram, _Histogram]


def measure_phases(
    connection: Connection, grouping: Grouping, percentiles: Sequence[float]
) -> list[TimingRow]:
    """Returns a row for each group and each phase that one of its ended runs had, or may have had.

    Open runs do not count: they may be queued, run and wait again.
    """
    for percent in percentiles:
        if not 0 < percent <= 100:
            raise SettingsError(f"a percentile is above 0 and up to 100, not {percent}")
    groups: dict[tuple[object, ...], dict[str, object]] = {}
    times: dict[tuple[object, ...], dict[str, _Histograms]] = defaultdict(dict)
    for group, phase, bucket, counts in _read_parts(connection, grouping):
        key = tuple(group.values())
        groups[key] = group
        found = times[key].setdefault(phase, (defaultdict(int), defaultdict(int), defaultdict(int)))
        for histogram, number in zip(found, counts, strict=True):
            if number:
                histogram[bucket] += number
    return [
        _make_row(group, phase, found[phase], percentiles)
        for key, found in sorted(times.items(), key=lambda it: sort_key(groups[it[0]]))
        for group in [localize_hour(groups[key], grouping.zone)]
        for phase in PHASES
        if any(found.get(phase, ()))
    ]


def nearest_ranks(counts: Mapping[float, int], percentiles: Sequence[float]) -> list[float]:
    """Returns, for each percentile, the smallest counted value that so many per cent do not exceed.

    Raises ValueError if there are no values.
    """
    values = sorted(counts)
    if not values:
        raise ValueError("there are no values")
    until = list(accumulate(counts[it] for it in values))
    return [values[bisect_left(until, _rank(it, until[-1]))] for it in percentiles]


def _rank(percent: float, number: int) -> int:
    """Returns the place of a percentile among so many values, from 1."""
    part, whole = _share(percent)
    return -(-part * number // whole)


@lru_cache
def _share(percent: float) -> tuple[int, int]:
    # Exact, since 99.9 per cent of 1,000 is a little more than 999 in floating point.
    return (Fraction(str(percent)) / 100).as_integer_ratio()


def _read_parts(connection: Connection, grouping: Grouping) -> Iterator[_Part]:
    if not _ROLLUP.can_answer(grouping):
        columns = [runs.c[name] for name in _TIMES]
        for group, times in read_groups(connection, grouping, values=columns):
            yield from _count_run(group, times)
        return
    quarters = whole_quarters(grouping.since, grouping.until)
    for group, (phase, bucket, *counts) in sum_rollup(connection, _ROLLUP, grouping, quarters):
        yield group, phase, bucket, [int(it) for it in counts]
    for run in read_edge_runs(connection, quarters, grouping.filters):
        yield from _count_run(group_of(run, grouping), [getattr(run, name) for name in _TIMES])


def _count_run(group: dict[str, object], times: Sequence[float | None]) -> Iterator[_Part]:
    number = len(PHASES)
    for phase, bucket, measure in buckets_of(times[:number], times[number:]):
        yield group, phase, bucket, [int(measure == it) for it in range(3)]


def _mean(counts: Mapping[float, int]) -> float | None:
    if not counts or UNLIMITED in counts:
        return None
    return fsum(value * number for value, number in counts.items()) / sum(counts.values())


def _make_row(
    group: Mapping[str, object],
    phase: str,
    histograms: _Histograms,
    percentiles: Sequence[float],
) -> TimingRow:
    known, least, most = histograms
    runs = sum(known.values())
    ranks = nearest_ranks(known, percentiles) if known else [None] * len(percentiles)
    return TimingRow(
        group,
        phase,
        runs,
        sum(least.values()) - runs,
        _mean(known),
        _mean(least),
        _mean(most),
        dict(zip(percentiles, ranks, strict=True)),
        dict(zip(percentiles, _find_ranges(least, most, percentiles), strict=True)),
    )


def _find_ranges(
    least: _Histogram, most: _Histogram, percentiles: Sequence[float]
) -> list[tuple[float | None, float | None]]:
    """Returns the bounds of percentiles of all runs: those of the same rank among the bounds."""
    if not least:
        return [(None, None)] * len(percentiles)
    highest = (None if it == UNLIMITED else it for it in nearest_ranks(most, percentiles))
    return list(zip(nearest_ranks(least, percentiles), highest, strict=True))
