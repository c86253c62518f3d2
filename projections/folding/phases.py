"""The phases of a run: pure arithmetic of the moments between two statuses and their widths.

A boundary is at the server's stamp, else where we saw it, and never before the one before it.
Its width is how far off that moment may be; None where nothing limits it. A phase is off by the
width of its opening and of its closing boundary together. All in microseconds.
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
    REQUIRES_ACTION,
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

_NOTHING: Mapping[int, int] = MappingProxyType({})

# A change of status as its event tells it: the new status, the server's stamp, that or when we
# saw it, the last moment without it, the first known to be past it, whether it was inferred, and
# whether the service gave a start of the run before. Plain, since there are millions of them.
Transition = tuple[str, int | None, int, int | None, int | None, bool, bool]


class PhaseInterval(NamedTuple):
    """A stay in one status, and how sure its two boundaries are; not yet left where open.

    The last stay of an ended run is its end: it has no length and is no phase.
    """

    status: str
    entered: int
    opening: int | None
    opening_basis: str
    left: int | None = None
    closing: int | None = None
    closing_basis: str = SERVER


def stays(
    transitions: Sequence[Transition], certain: Mapping[int, int] = _NOTHING
) -> list[PhaseInterval]:
    """All stays of a run, from its creation on; the first transition is into its queue.

    The stamps of those that are `certain`, by index, are known to tell when the status before
    was left too; by how much later the one after may have begun is the value.
    """
    status, stamp, seen, *_ = transitions[0]
    entered, opening, basis = seen, None, OBSERVED
    if stamp is not None:
        entered, opening, basis = stamp, stamp_width(stamp), SERVER
    found = []
    for index, transition in enumerate(transitions[1:], 1):
        moment, closing, closing_basis, next_opening, next_basis = _boundary(
            status, entered, opening, transition, certain.get(index)
        )
        found.append(PhaseInterval(status, entered, opening, basis, moment, closing, closing_basis))
        status, entered, opening, basis = transition[0], moment, next_opening, next_basis
    found.append(PhaseInterval(status, entered, opening, basis))
    return found


def phase_values(run_key: str, seq: int, stay: PhaseInterval) -> list[Any]:
    """The row of one stay as it is written, its moments as numbers."""
    return [run_key, seq, stay.status, stay.entered, stay.left, *_measures(stay)]


def stamp_width(stamp: int) -> int:
    """How far off a server's stamp may be: a second where it is in whole seconds, else nothing."""
    return 0 if stamp % SECOND else SECOND


def close_pause(
    entered: int,
    opening: int | None,
    stamp: int | None,
    seen: int,
    before: int | None,
    after: int | None,
    inferred: bool,
) -> tuple[int, int | None]:
    """When a wait that began at `entered` was over, and how far off that may be."""
    seen = seen if stamp is None else stamp
    # Whereto it went on is all the same: from a wait, no stamp tells when it was left.
    transition = ("", stamp, seen, before, after, inferred, False)
    return _boundary(REQUIRES_ACTION, entered, opening, transition)[:2]


def _measures(stay: PhaseInterval) -> tuple[float | None, float | None, str]:
    """Seconds, uncertainty in seconds, and what they rest on."""
    if stay.left is None:
        return None, seconds(stay.opening), stay.opening_basis
    width = None
    if stay.opening is not None and stay.closing is not None:
        width = (stay.opening + stay.closing) / SECOND
    basis = _weaker(stay.opening_basis, stay.closing_basis)
    return (stay.left - stay.entered) / SECOND, width, basis


def _boundary(
    status: str,
    entered: int,
    opening: int | None,
    transition: Transition,
    slack: int | None = None,
) -> tuple[int, int | None, str, int | None, str]:
    """Where one stay ends and the next begins: moment, width and basis before, and after."""
    following, stamp, seen, before, after, inferred, has_start = transition
    if stamp is None and after is not None and after < seen:
        seen = after
    late = entered - seen if entered > seen else 0
    moment = seen + late
    # Since the change was last known not to have come: since the stay began, at worst.
    width: int | None
    if before is not None:
        width = moment - before if moment > before else 0
    else:
        width = None if opening is None else moment - entered + opening
    if stamp is None:
        basis = INFERRED if inferred else OBSERVED
        return moment, width, basis, width, basis
    exact = stamp_width(stamp) + late
    if slack is not None:
        return moment, exact, SERVER, exact + slack, INFERRED if slack else SERVER
    if inferred:
        closing = _at_least(exact, width) if before is not None else exact
        return moment, closing, INFERRED, exact, INFERRED
    step = (status, following)
    is_first = step == _START and before is None
    if is_first or step in _STRAIGHT or (has_start and step in _STRAIGHT_BY_START):
        return moment, exact, SERVER, exact, SERVER
    closing = _at_least(exact, width)
    return moment, closing, SERVER if closing == exact else OBSERVED, exact, SERVER


def _at_least(exact: int, width: int | None) -> int | None:
    return None if width is None else max(exact, width)


def _weaker(one: str, other: str) -> str:
    if INFERRED in (one, other):
        return INFERRED
    return SERVER if one == other == SERVER else OBSERVED
