"""The rows of the phases of a run, and the columns of durations."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any

from projections.folding.durations import Duration
from projections.folding.micros import SECOND, seconds
from projections.folding.status_trace import Measured
from tracker.core.status import ENDED


def phase_rows(run_key: str, measured: Measured) -> Iterator[list[Any]]:
    """Yields the rows of the phases in the order of `run_phases`, times in microseconds."""
    line, estimate, _ = measured
    seq = 0
    for seq, (status, entered, left, duration, basis) in enumerate(estimate.told_phases(), 1):
        value, least, most = duration_columns(duration)
        yield [
            run_key,
            seq,
            status,
            entered,
            left,
            value,
            seconds(uncertainty_of(duration)),
            basis,
            least,
            most,
        ]
    last = line[-1]
    if last.status not in ENDED:
        entered = estimate.moments[-1]
        yield [run_key, seq + 1, last.status, entered, None, None, None, last.basis, None, None]


def duration_columns(
    duration: Duration | None,
) -> tuple[float | None, float | None, float | None]:
    """Returns a duration and its bounds in seconds; None where it is not known or not limited."""
    if duration is None:
        return None, None, None
    value, least, most = duration
    return (
        None if value is None else value / SECOND,
        least / SECOND,
        None if most == inf else most / SECOND,
    )


def uncertainty_of(duration: Duration) -> int | None:
    """Returns by how much a duration may be off; None if it is not known or nothing limits it."""
    value, least, most = duration
    if value is None or most == inf:
        return None
    return max(value - least, int(most) - value)
