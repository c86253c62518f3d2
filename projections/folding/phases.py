"""The phases of a run: the intervals between its changes of status, and their uncertainty.

A boundary lies at the server's timestamp, or else at the time of our observation, and never before
the boundary in front of it. Its uncertainty is the largest possible error of that time, None where
nothing limits it. The uncertainty of a phase is the sum of those of its two boundaries. All values
are in microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from projections.folding.micros import SECOND, seconds
from tracker.core.status import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    ENDED,
    EXPIRED,
    FAILED,
    IN_PROGRESS,
    INCOMPLETE,
    QUEUED,
)

SERVER, OBSERVED, INFERRED = "server", "observed", "inferred"

# Where nothing can lie between two statuses, the server's timestamp of the second also tells when
# the first was left. Elsewhere a pause for an action, or all of the work, may lie between them
# without having been observed. A start without a `not_before` is the first one.
_DIRECT = frozenset((CANCELLING, end) for end in ENDED)
_START = (QUEUED, IN_PROGRESS)
# Direct if the service reports start times: a start in between would have changed that time.
_DIRECT_BY_START = frozenset(
    {
        (IN_PROGRESS, COMPLETED),
        (IN_PROGRESS, INCOMPLETE),
        (QUEUED, FAILED),
        (QUEUED, CANCELLED),
        (QUEUED, EXPIRED),
    }
)

_NO_GAPS: Mapping[int, int] = MappingProxyType({})
# Stands for a gap that nothing limits.
UNLIMITED = -1

# A change of status as its event reports it. A plain tuple, since there are millions of them:
# the new status; the server's timestamp; that timestamp or else the time of our observation;
# `not_before`; `not_after`; True if inferred; True if the service reported a start before.
Transition = tuple[str, int | None, int, int | None, int | None, bool, bool]


class PhaseInterval(NamedTuple):
    """The interval that a run spends in one status.

    The last interval of an ended run is its end: it has no length and is no phase.
    """

    status: str
    entered_at: int
    entered_uncertainty: int | None
    # What the time rests on: SERVER, OBSERVED or INFERRED.
    entered_basis: str
    # None while the interval is open.
    left_at: int | None = None
    left_uncertainty: int | None = None
    left_basis: str = SERVER


def phase_intervals(
    transitions: Sequence[Transition], gaps: Mapping[int, int] = _NO_GAPS
) -> list[PhaseInterval]:
    """Returns all intervals of a run from its creation on; its first transition is to queued.

    The keys of `gaps` are the indexes of transitions whose timestamp is the end of the previous
    status. The values are the longest delay until the new status began, in microseconds.
    """
    status, stamp, seen, *_ = transitions[0]
    entered, uncertainty, basis = seen, None, OBSERVED
    if stamp is not None:
        entered, uncertainty, basis = stamp, stamp_uncertainty(stamp), SERVER
    intervals = []
    for index, transition in enumerate(transitions[1:], 1):
        left, left_uncertainty, left_basis, next_uncertainty, next_basis = _boundary(
            status, entered, uncertainty, transition, gaps.get(index)
        )
        intervals.append(
            PhaseInterval(status, entered, uncertainty, basis, left, left_uncertainty, left_basis)
        )
        status, entered, uncertainty, basis = transition[0], left, next_uncertainty, next_basis
    intervals.append(PhaseInterval(status, entered, uncertainty, basis))
    return intervals


def phase_values(run_key: str, seq: int, interval: PhaseInterval) -> list[Any]:
    """Returns the row of an interval in the order of `run_phases`, times in microseconds."""
    return [
        run_key,
        seq,
        interval.status,
        interval.entered_at,
        interval.left_at,
        *_measure(interval),
    ]


def stamp_uncertainty(stamp: int) -> int:
    """Returns the error of a server's timestamp: one second if it is in whole seconds, else 0."""
    return 0 if stamp % SECOND else SECOND


def _measure(interval: PhaseInterval) -> tuple[float | None, float | None, str]:
    """Returns the seconds of an interval, their uncertainty in seconds, and their basis."""
    if interval.left_at is None:
        return None, seconds(interval.entered_uncertainty), interval.entered_basis
    uncertainty = None
    if interval.entered_uncertainty is not None and interval.left_uncertainty is not None:
        uncertainty = (interval.entered_uncertainty + interval.left_uncertainty) / SECOND
    basis = _weaker_basis(interval.entered_basis, interval.left_basis)
    return (interval.left_at - interval.entered_at) / SECOND, uncertainty, basis


def _boundary(
    status: str,
    entered: int,
    entered_uncertainty: int | None,
    transition: Transition,
    gap: int | None = None,
) -> tuple[int, int | None, str, int | None, str]:
    """Returns the boundary between two intervals.

    Its time, then uncertainty and basis as the end of the first interval, then both as the
    beginning of the second.
    """
    following, stamp, seen, before, after, inferred, has_start = transition
    if stamp is None and after is not None and after < seen:
        seen = after
    late = entered - seen if entered > seen else 0
    moment = seen + late
    # Back to the last moment without the change: the beginning of the interval, at worst.
    uncertainty: int | None
    if before is not None:
        uncertainty = moment - before if moment > before else 0
    else:
        uncertainty = (
            None if entered_uncertainty is None else moment - entered + entered_uncertainty
        )
    if stamp is None and gap is None:
        basis = INFERRED if inferred else OBSERVED
        return moment, uncertainty, basis, uncertainty, basis
    exact = late if stamp is None else stamp_uncertainty(stamp) + late
    if gap is not None:
        basis = OBSERVED if stamp is None else SERVER
        following_uncertainty = None if gap == UNLIMITED else exact + gap
        return moment, exact, basis, following_uncertainty, INFERRED if gap else basis
    if inferred:
        closing = _at_least(exact, uncertainty) if before is not None else exact
        return moment, closing, INFERRED, exact, INFERRED
    change = (status, following)
    is_first = change == _START and before is None
    if is_first or change in _DIRECT or (has_start and change in _DIRECT_BY_START):
        return moment, exact, SERVER, exact, SERVER
    closing = _at_least(exact, uncertainty)
    return moment, closing, SERVER if closing == exact else OBSERVED, exact, SERVER


def _at_least(exact: int, uncertainty: int | None) -> int | None:
    return None if uncertainty is None else max(exact, uncertainty)


def _weaker_basis(one: str, other: str) -> str:
    if INFERRED in (one, other):
        return INFERRED
    return SERVER if one == other == SERVER else OBSERVED
