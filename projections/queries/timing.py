"""Means and percentiles of the durations of ended runs, equal on both databases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import ceil, fsum

from sqlalchemy import Connection

from projections.database.schema import runs, timing_buckets, timing_totals
from projections.folding.histogram import bucket_of
from projections.folding.rollups import PHASES, UNCERTAINTY
from projections.queries.grouping import Grouping, localize_hour, sort_key
from projections.queries.periods import whole_quarters
from projections.queries.rollups import Rollup, read_edge_runs, sum_rollup
from projections.queries.run_groups import group_of, read_groups
from projections.row_types import TimingRow
from tracker.errors import SettingsError

_ROLLUP = Rollup(timing_buckets, timing_totals, ("phase", "bucket"), ("count",))
_TIMES = tuple(f"{phase}_seconds" for phase in PHASES)

# A group, a phase, a bucket in seconds, and the number of its runs.
_Part = tuple[dict[str, object], str, float, int]
# The number of runs in each bucket.
_Histogram = dict[float, int]


def measure_phases(
    connection: Connection, grouping: Grouping, percentiles: Sequence[float]
) -> list[TimingRow]:
    """Returns a row for each group and each phase that one of its ended runs had.

    Open runs do not count: they may be queued, run and wait again.
    """
    for percent in percentiles:
        if not 0 < percent <= 100:
            raise SettingsError(f"a percentile is above 0 and up to 100, not {percent}")
    groups: dict[tuple[object, ...], dict[str, object]] = {}
    times: dict[tuple[object, ...], dict[str, _Histogram]] = defaultdict(dict)
    for group, phase, seconds, number in _read_parts(connection, grouping):
        key = tuple(group.values())
        groups[key] = group
        histogram = times[key].setdefault(phase, defaultdict(int))
        histogram[seconds] += number
    return [
        _make_row(group, phase, found[phase], _mean_uncertainty(found), percentiles)
        for key, found in sorted(times.items(), key=lambda it: sort_key(groups[it[0]]))
        for group in [localize_hour(groups[key], grouping.zone)]
        for phase in PHASES
        if phase != UNCERTAINTY and found.get(phase)
    ]


def nearest_rank(counts: Mapping[float, int], percent: float) -> float:
    """Returns the smallest counted value that `percent` per cent of all do not exceed."""
    # Fractions, since 99.9 per cent of 1,000 is a little more than 999 in floating point.
    rank = ceil(Fraction(str(percent)) * sum(counts.values()) / 100)
    for value in sorted(counts):
        rank -= counts[value]
        if rank <= 0:
            return value
    raise ValueError("there are no values")


def _read_parts(connection: Connection, grouping: Grouping) -> Iterator[_Part]:
    if not _ROLLUP.can_answer(grouping):
        columns = [runs.c[name] for name in _TIMES]
        for group, times in read_groups(connection, grouping, values=columns):
            yield from _count_run(group, times)
        return
    quarters = whole_quarters(grouping.since, grouping.until)
    for group, (phase, bucket, number) in sum_rollup(connection, _ROLLUP, grouping, quarters):
        yield group, phase, bucket, int(number)
    for run in read_edge_runs(connection, quarters, grouping.filters):
        yield from _count_run(group_of(run, grouping), [getattr(run, name) for name in _TIMES])


def _count_run(group: dict[str, object], times: Sequence[float | None]) -> Iterator[_Part]:
    for phase, seconds in zip(PHASES, times, strict=True):
        if seconds is not None:
            yield group, phase, bucket_of(seconds), 1


def _mean(counts: Mapping[float, int]) -> float:
    return fsum(value * number for value, number in counts.items()) / sum(counts.values())


def _mean_uncertainty(found: Mapping[str, _Histogram]) -> float | None:
    """Returns the mean uncertainty of the runs of a group; None if that of one is unknown."""
    counts = found.get(UNCERTAINTY)
    if not counts or sum(counts.values()) < sum(found["total"].values()):
        return None
    return _mean(counts)


def _make_row(
    group: Mapping[str, object],
    phase: str,
    counts: _Histogram,
    uncertainty: float | None,
    percentiles: Sequence[float],
) -> TimingRow:
    ranks = {percent: nearest_rank(counts, percent) for percent in percentiles}
    return TimingRow(group, phase, sum(counts.values()), _mean(counts), uncertainty, ranks)
