"""The phases of a run: pure arithmetic of the moments between two statuses and their widths.

A boundary is at the server's stamp, else where we saw it, and never before the one before it.
Its width is how far off that moment may be, in seconds; None where nothing limits it. A phase
is off by the width of its opening and of its closing boundary together.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from projections.queries import PhaseRow
from tracker.core.events import Change, RunCreated
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

# Where a run can only have come straight from the one status to the other, the server's stamp
# for the new one tells when the old one was left too. Elsewhere a pause for an action, or all
# of the work, may lie unseen between them. A start without a `not_before` is the first.
_STRAIGHT = frozenset((CANCELLING, end) for end in ENDED)
_START = (QUEUED, IN_PROGRESS)
# The same, given that the service stamps starts: what began in between would have moved that.
_STRAIGHT_BY_START = frozenset(
    {
        (IN_PROGRESS, COMPLETED),
        (IN_PROGRESS, INCOMPLETE),
        (QUEUED, FAILED),
        (QUEUED, CANCELLED),
        (QUEUED, EXPIRED),
    }
)


class Boundary(NamedTuple):
    """A change of status: its moment, and what it says of the phases on its two sides."""

    moment: datetime
    closing: float | None
    closing_basis: str
    opening: float | None
    opening_basis: str


def first_phase(run_key: str, event: RunCreated) -> PhaseRow:
    """The phase that every history opens in: queued, since its creation or since we saw it."""
    stamp = event.occurred_at
    entered_at = (stamp or event.observed_at).astimezone(UTC)
    width = None if stamp is None else stamp_width(stamp)
    basis = OBSERVED if stamp is None else SERVER
    return PhaseRow(run_key, 1, QUEUED, entered_at, None, None, width, basis)


def boundary(phase: PhaseRow, event: Change, status: str, has_start: bool) -> Boundary:
    """The boundary by which `event` closes the open `phase` and brings the run to `status`.

    `has_start` says whether the service gave a start of the run before.
    """
    stamp = event.occurred_at
    seen = stamp or _first_known(event)
    late = max(0.0, (phase.entered_at - seen).total_seconds())
    moment = phase.entered_at if late else seen.astimezone(UTC)
    if stamp is None:
        basis = INFERRED if event.inferred else OBSERVED
        width = _since_last_known(phase, event, moment)
        return Boundary(moment, width, basis, width, basis)
    exact = stamp_width(stamp) + late
    if event.inferred:
        bounded = event.not_before is not None
        width = _at_least(exact, _since_last_known(phase, event, moment)) if bounded else exact
        return Boundary(moment, width, INFERRED, exact, INFERRED)
    step = (phase.status, status)
    is_first = step == _START and event.not_before is None
    if is_first or step in _STRAIGHT or (has_start and step in _STRAIGHT_BY_START):
        return Boundary(moment, exact, SERVER, exact, SERVER)
    width = _at_least(exact, _since_last_known(phase, event, moment))
    return Boundary(moment, width, SERVER if width == exact else OBSERVED, exact, SERVER)


def closed(phase: PhaseRow, bound: Boundary) -> PhaseRow:
    """The open `phase` as it is once `bound` has closed it."""
    return PhaseRow(
        phase.run_key,
        phase.seq,
        phase.status,
        phase.entered_at,
        bound.moment,
        (bound.moment - phase.entered_at).total_seconds(),
        added(phase.uncertainty_seconds, bound.closing),
        _weaker(phase.basis, bound.closing_basis),
    )


def opened(phase: PhaseRow, bound: Boundary, status: str) -> PhaseRow:
    """The phase in `status` that follows `phase` at `bound`."""
    return PhaseRow(
        phase.run_key,
        phase.seq + 1,
        status,
        bound.moment,
        None,
        None,
        bound.opening,
        bound.opening_basis,
    )


def stamp_width(stamp: datetime) -> float:
    """How far off a server's stamp may be: a second where it is in whole seconds, else nothing."""
    return 0.0 if stamp.microsecond else 1.0


def added(total: float | None, width: float | None) -> float | None:
    """The sum to the microsecond; None where either is not limited."""
    return None if total is None or width is None else round(total + width, 6)


def _first_known(event: Change) -> datetime:
    """The first moment at which the change was known to have come."""
    bound = event.not_after
    return bound if bound is not None and bound < event.observed_at else event.observed_at


def _since_last_known(phase: PhaseRow, event: Change, moment: datetime) -> float | None:
    """Seconds since the change was last known not to have come: since the phase began, at worst."""
    if event.not_before is not None:
        return max(0.0, (moment - event.not_before).total_seconds())
    return added((moment - phase.entered_at).total_seconds(), phase.uncertainty_seconds)


def _at_least(exact: float, width: float | None) -> float | None:
    return None if width is None else max(exact, width)


def _weaker(one: str, other: str) -> str:
    if INFERRED in (one, other):
        return INFERRED
    return SERVER if one == other == SERVER else OBSERVED
