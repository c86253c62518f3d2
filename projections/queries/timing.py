"""How long runs take: means and percentiles of their phases, the same on each database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from math import ceil, fsum
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from projections.database.schema import runs, timing_buckets, timing_totals
from projections.folding.histogram import bucket_of
from projections.folding.rollups import PHASES, UNCERTAINTY
from projections.queries.grouping import By, checked_limits, group_names, sort_key, time_zone
from projections.queries.periods import span
from projections.queries.rollups import Rollup, count, edge_runs
from projections.queries.run_groups import counted, group_of, in_zone
from projections.row_types import TimingRow
from tracker.errors import SettingsError

_ROLLUP = Rollup(timing_buckets, timing_totals, ("phase", "bucket"), ("count",))
_TIMES = tuple(f"{phase}_seconds" for phase in PHASES)

# A group, a phase, and how many runs took about so many seconds in it.
_Part = tuple[dict[str, object], str, float, int]
_Histogram = dict[float, int]


def measure(
    connection: Connection,
    by: By,
    percentiles: Sequence[float],
    since: datetime | None,
    until: datetime | None,
    tz: str,
) -> list[TimingRow]:
    """A row for each group and phase that some ended run went through.

    The times of open runs are not yet whole: they may queue, run and wait again.
    """
    names, zone = group_names(by), time_zone(tz)
    checked_limits(since, until)
    for percent in percentiles:
        if not 0 < percent <= 100:
            raise SettingsError(f"a percentile is above 0 and up to 100, not {percent}")
    groups: dict[tuple[object, ...], dict[str, object]] = {}
    times: dict[tuple[object, ...], dict[str, _Histogram]] = defaultdict(dict)
    for group, phase, seconds, number in _parts(connection, names, since, until, zone):
        key = tuple(group.values())
        groups[key] = group
        histogram = times[key].setdefault(phase, defaultdict(int))
        histogram[seconds] += number
    return [
        _timing(in_zone(groups[key], zone), phase, found[phase], _uncertainty(found), percentiles)
        for key, found in sorted(times.items(), key=lambda it: sort_key(groups[it[0]]))
        for phase in PHASES
        if phase != UNCERTAINTY and found.get(phase)
    ]


def nearest_rank(counts: Mapping[float, int], percent: float) -> float:
    """The smallest of the values counted that `percent` per cent of all do not exceed."""
    # Exact: in floating point 99.9 per cent of 1,000 is a little more than 999.
    rank = ceil(Fraction(str(percent)) * sum(counts.values()) / 100)
    for value in sorted(counts):
        rank -= counts[value]
        if rank <= 0:
            return value
    raise ValueError("there are no values")


def _parts(
    connection: Connection,
    names: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    zone: ZoneInfo,
) -> Iterator[_Part]:
    if not _ROLLUP.covers(names):
        columns = [runs.c[name] for name in _TIMES]
        for group, times in counted(connection, names, since, until, zone, values=columns):
            yield from _durations(group, times)
        return
    quarters = span(since, until)
    for group, (phase, bucket, number) in count(connection, _ROLLUP, names, quarters, zone):
        yield group, phase, bucket, int(number)
    for run in edge_runs(connection, quarters):
        yield from _durations(group_of(run, names, zone), [getattr(run, name) for name in _TIMES])


def _durations(group: dict[str, object], times: Sequence[float | None]) -> Iterator[_Part]:
    for phase, seconds in zip(PHASES, times, strict=True):
        if seconds is not None:
            yield group, phase, bucket_of(seconds), 1


def _mean(counts: Mapping[float, int]) -> float:
    return fsum(value * number for value, number in counts.items()) / sum(counts.values())


def _uncertainty(found: Mapping[str, _Histogram]) -> float | None:
    """The mean uncertainty of the runs of a group; None where that of any is not known."""
    widths = found.get(UNCERTAINTY)
    if not widths or sum(widths.values()) < sum(found["total"].values()):
        return None
    return _mean(widths)


def _timing(
    group: Mapping[str, object],
    phase: str,
    counts: _Histogram,
    uncertainty: float | None,
    percentiles: Sequence[float],
) -> TimingRow:
    ranks = {percent: nearest_rank(counts, percent) for percent in percentiles}
    return TimingRow(group, phase, sum(counts.values()), _mean(counts), uncertainty, ranks)
