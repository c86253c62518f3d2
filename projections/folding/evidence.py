"""The evidence of the boundaries of a run, completed to the line that the estimator solves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import inf

from projections.folding.durations import UNKNOWN
from projections.folding.micros import SECOND
from projections.folding.network import INFERRED, NO_OFFSET, Boundary
from tracker.core.status import (
    CANCELLING,
    COMPLETED,
    ENDED,
    EXPIRED,
    FAILED,
    IN_PROGRESS,
    INCOMPLETE,
    QUEUED,
    REQUIRES_ACTION,
)

_MILLISECOND = 1000
# A queued run has worked before it comes to one of these.
_AFTER_WORK = (COMPLETED, INCOMPLETE, REQUIRES_ACTION)
# Not reached past a pause without a new start, which the service would report.
_AFTER_START = (COMPLETED, FAILED, INCOMPLETE, REQUIRES_ACTION)


_new = tuple.__new__


def last_moment(stamp: int) -> int:
    """Returns the last microsecond that a stamp may stand for: services round them down.

    A stamp is of whole seconds, of milliseconds or of microseconds, by its digits.
    """
    if stamp % SECOND == 0:
        return stamp + SECOND - 1
    return stamp if stamp % _MILLISECOND else stamp + _MILLISECOND - 1


def is_stamped(boundary: Boundary) -> bool:
    """True if a stamp of the service limits a boundary on both sides."""
    return boundary[1] > -inf and boundary[2] < inf


def keep_one_clock(boundaries: Sequence[Boundary], sets: Sequence[int]) -> list[Boundary]:
    """Returns the boundaries with the looks by one of our clocks alone: it was set before some.

    That is the one by which most is known, or without any stamp the first.
    """
    clocks = [sum(it <= place for it in sets) for place in range(len(boundaries))]
    known = Counter[int]()
    for it, clock in zip(boundaries, clocks, strict=True):
        known[clock] += (it.after > -inf) + (it.until < inf)
    is_told = any(map(is_stamped, boundaries))
    kept = max(known, key=lambda clock: (known[clock], clock)) if is_told else 0
    return [
        it if clock == kept else it._replace(after=-inf, until=inf, ahead=NO_OFFSET)
        for it, clock in zip(boundaries, clocks, strict=True)
    ]


def complete_line(
    boundaries: Sequence[Boundary], *, never_pauses: bool, has_start: bool
) -> list[Boundary]:
    """Returns the line of a run: with the work that nobody saw, and no split that nobody saw.

    `never_pauses` says that there is no pause beside those of the line, and `has_start` that the
    service has reported a start beside those that are stamped there.
    """
    before = boundaries[0]
    line = [before]
    last = len(boundaries) - 1
    after = -inf
    for place in range(1, last + 1):
        it = boundaries[place]
        if after > it[3]:
            it = it._replace(after=after)
        after = -inf
        status = it[0]
        if before[0] == QUEUED:
            if status == IN_PROGRESS:
                is_divided = it[1] > -inf or it[2] < inf or (it[3] > -inf and it[4] < inf)
                if not is_divided and place < last:
                    before = line[-1] = before._replace(status=UNKNOWN, until=min(before[4], it[4]))
                    after = it[3]
                    continue
            elif status in _AFTER_WORK and it[3] > -inf:
                work = Boundary(IN_PROGRESS, after=it[3], basis=INFERRED)
                before = work._replace(is_loose=not never_pauses)
                line.append(before)
            elif status in _AFTER_WORK or (status in ENDED and it[3] == -inf):
                before = line[-1] = before._replace(status=UNKNOWN)
        if _is_loose(before[0], status, never_pauses, has_start):
            # A third of the cost of `_replace`.
            it = _new(Boundary, (status, *it[1:5], True, it[6], it[7]))
        line.append(it)
        before = it
        if status == IN_PROGRESS and it[1] > -inf:
            has_start = True
    return line


def _is_loose(before: str, status: str, never_pauses: bool, has_start: bool) -> bool:
    """True if another status, which nobody saw, may lie between two."""
    if before == UNKNOWN:
        return False
    if before == CANCELLING:
        return status not in ENDED
    if before == QUEUED:
        return status != IN_PROGRESS or not never_pauses
    if before == IN_PROGRESS:
        if status in _AFTER_START:
            return not (never_pauses or has_start)
        return not (never_pauses and status in (EXPIRED, CANCELLING))
    if before == REQUIRES_ACTION:
        if status in (QUEUED, UNKNOWN):
            return False
        return not (never_pauses and status == EXPIRED)
    return True
