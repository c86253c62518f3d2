"""The phases of a run, as a solved network gives them: estimates with their tightest bounds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import NamedTuple

from projections.folding.micros import SECOND
from projections.folding.network import (
    INFERRED,
    OBSERVED,
    SERVER,
    Boundary,
    Box,
    Solution,
)
from tracker.core.status import EXPIRED, QUEUED, REQUIRES_ACTION

# The status of a phase in which a run was queued and worked, and nobody saw the one begin.
UNKNOWN = "unknown"
DISPUTED = "disputed"
KINDS = ("queued", "running", "action")

# A duration with bounds further apart than this, and than the duration, is not told.
_WIDE = 2 * SECOND
_KIND_OF = {QUEUED: "queued", REQUIRES_ACTION: "action"}


class Duration(NamedTuple):
    """A duration with its bounds; None where it is not known."""

    value: int | None
    at_least: int
    at_most: float


class Phase(NamedTuple):
    """A phase that a run has left. Its times are estimates by the service's clock."""

    status: str
    entered_at: int
    left_at: int
    duration: Duration
    basis: str


class Estimate(NamedTuple):
    """The phases of a run that it has left, and their sums."""

    # The evidence that was used, and the estimated moments of its boundaries.
    line: Sequence[Boundary]
    moments: list[int]
    # The same; None where only a limit is known.
    points: list[int | None]
    phases: list[Phase]
    # From the first boundary to the last.
    total: Duration
    # By kind; without those that the run had no phase of.
    kinds: dict[str, Duration]
    solution: Solution
    # True if the last moment is an estimate, and not only a limit.
    has_last: bool

    def told_phases(self) -> list[Phase]:
        """Returns the phases, as one of status `unknown` those that nothing divides."""
        phases = self.phases
        if all(it[3][0] is not None for it in phases):
            return phases
        told = phases[:1]
        since = 0
        for place in range(1, len(phases)):
            phase, before = phases[place], told[-1]
            is_open = phase[3][0] is None and phases[place - 1][3][0] is None
            if not is_open or self._is_divided(place):
                told.append(phase)
                since = place
                continue
            entered, left = self.points[since], self.points[place + 1]
            value = None if entered is None or left is None else left - entered
            ends = (self.solution.box(since), self.solution.box(place + 1))
            ahead = (self.solution.least_ahead, self.solution.most_ahead)
            whole = between(*ends, *ahead, value)
            basis = DISPUTED if DISPUTED in (before.basis, phase.basis) else UNKNOWN
            told[-1] = Phase(UNKNOWN, before.entered_at, phase.left_at, whole, basis)
        return told

    def _is_divided(self, place: int) -> bool:
        """True if stamps or looks tell more of a boundary than the order does."""
        lows, afters, highs, untils, least, most, _ = self.solution
        lower, before = (max(lows[it], afters[it] + least) for it in (place, place - 1))
        upper, following = (min(highs[it], untils[it] + most) for it in (place, place + 1))
        return lower > before or upper < following


def measure(
    line: Sequence[Boundary],
    solution: Solution,
    *,
    hides_pause: bool = True,
    is_disputed: bool = False,
) -> Estimate:
    """Returns the estimate of a line from the ends of its boundaries."""
    moments = _find_moments(line, solution)
    lows, afters, highs, untils, least_ahead, most_ahead, slip = solution
    phases: list[Phase] = []
    known: list[int] = []
    latest = -inf
    for place, moment in enumerate(moments):
        shown = _find_earliest(place, solution, line[place]) if moment is None else moment
        latest = shown if shown > latest else latest
        known.append(int(latest))
    for place in range(1, len(line)):
        before, after = place - 1, moments[place]
        boundary, status = line[place], line[before][0]
        duration = between(
            (lows[before], afters[before], highs[before], untils[before]),
            (lows[place], afters[place], highs[place], untils[place]),
            least_ahead,
            most_ahead,
            None if after is None or (entered := moments[before]) is None else after - entered,
            boundary[3] - slip if boundary[5] else None,
        )
        basis = DISPUTED if is_disputed else _weaker(status, line[before][6], boundary[6])
        phases.append(_new_phase(Phase, (status, known[before], known[place], duration, basis)))
    first, last = moments[0], moments[-1]
    whole = None if first is None or last is None else last - first
    total = between(solution.box(0), solution.box(-1), least_ahead, most_ahead, whole)
    if total[0] is None and all(it[3][0] is not None for it in phases):
        total = total._replace(value=whole)
    loose = [boundary[5] for boundary in line[1:]]
    kinds = _sum_kinds(phases, loose, total, hides_pause=hides_pause)
    return Estimate(line, known, moments, phases, total, kinds, solution, last is not None)


# Half of the cost of the constructors.
_new_phase = tuple.__new__
_new_duration = tuple.__new__


def between(
    first: Box,
    second: Box,
    least_ahead: float,
    most_ahead: float,
    value: int | None,
    seen_after: float | None = None,
) -> Duration:
    """Returns the duration between two boundaries; its value only if the bounds are close.

    `seen_after` is set where another status may lie before the second one: then our looks alone
    tell how long the first lasted at least.
    """
    low, after, high, until = first
    next_low, next_after, next_high, next_until = second
    most = next_high - low
    if (it := next_until - after) < most:
        most = it
    if (it := next_high - after - least_ahead) < most:
        most = it
    if (it := next_until - low + most_ahead) < most:
        most = it
    if seen_after is None:
        least = next_low - high
        if (it := next_after - until) > least:
            least = it
        if (it := next_low - until - most_ahead) > least:
            least = it
        if (it := next_after + least_ahead - high) > least:
            least = it
    else:
        least = max(seen_after - until, seen_after + least_ahead - high)
    if least < 0:
        least = 0
    if value is not None and most - least > _WIDE and most - least > value:
        # The middle of nearly anything is no duration.
        value = None
    return _new_duration(Duration, (value, least, most))


def find_moment(box: Box, solution: Solution) -> int | None:
    """Returns the estimated moment of a boundary with these ends; None if they are open."""
    early, late = _find_offsets(solution)
    lower, upper = max(box[0], box[1] + early), min(box[2], box[3] + late)
    return None if lower == -inf or upper == inf else int((lower + upper) // 2)


def _find_offsets(solution: Solution) -> tuple[float, float]:
    # At one offset: over all of them, the doubt about the offset would count twice.
    early, late = solution[4], solution[5]
    if early > -inf and late < inf:
        early = late = (early + late) // 2
    return early, late


def _find_moments(line: Sequence[Boundary], solution: Solution) -> list[int | None]:
    """Returns the middle of the earliest and the latest solution; None where one is open."""
    early, late = _find_offsets(solution)
    moments: list[int | None] = []
    for low, after, high, until in zip(*solution[:4], strict=True):
        lower, upper = after + early, until + late
        if low > lower:
            lower = low
        if high < upper:
            upper = high
        is_open = lower == -inf or upper == inf
        moments.append(None if is_open else int((lower + upper) // 2))
    end = line[-1]
    if end[0] == EXPIRED and end[2] == inf and solution[0][-1] > -inf:
        # It did not expire before its time, and no service waits long with it.
        last = int(max(solution[0][-1], solution[1][-1] + early))
        moments = [it if it is None or it < last else last for it in moments]
        moments[-1] = last
    return moments


def _find_earliest(place: int, solution: Solution, boundary: Boundary) -> float:
    """Returns a moment to show for a boundary whose place is not known."""
    low, after, high, until = solution.box(place)
    for moment in (
        max(low, after + solution.least_ahead),
        min(high, until + solution.most_ahead),
        boundary.until,
    ):
        if -inf < moment < inf:
            return moment
    return 0


def _weaker(status: str, one: str, other: str) -> str:
    if status == UNKNOWN:
        return UNKNOWN
    if INFERRED in (one, other):
        return INFERRED
    return SERVER if one == other == SERVER else OBSERVED


def _sum_kinds(
    phases: Sequence[Phase], loose: Iterable[bool], total: Duration, *, hides_pause: bool
) -> dict[str, Duration]:
    """Returns the sums by kind: what one kind surely took, no other did."""
    sums: dict[str, list[int | float | None]] = {}
    unseen: float = 0
    unknown: float = 0
    for phase, is_loose in zip(phases, loose, strict=True):
        value, least, most = phase[3]
        if is_loose:
            # A status that nobody saw may be of any kind.
            unseen += most - least
        if phase[0] == UNKNOWN:
            unknown += most
            continue
        kind = _KIND_OF.get(phase[0], "running")
        known = sums.get(kind)
        if known is None:
            sums[kind] = [value, least, most]
        else:
            known[0] = None if value is None or known[0] is None else known[0] + value
            known[1] += least  # type: ignore[operator]
            known[2] += most  # type: ignore[operator]
    hidden: Sequence[str] = ()
    if any(it[0] == UNKNOWN for it in phases):
        hidden = KINDS if hides_pause else KINDS[:2]
        for kind in hidden:
            sums.setdefault(kind, [None, 0, 0])[0] = None
    if len(sums) == 1 and not unseen and not hidden:
        return {kind: Duration(*it) for kind, it in sums.items()}  # type: ignore[arg-type]
    return _limit_kinds(sums, unseen, dict.fromkeys(hidden, unknown), total)


def _limit_kinds(
    sums: dict[str, list[int | float | None]],
    unseen: float,
    unknown: dict[str, float],
    total: Duration,
) -> dict[str, Duration]:
    """Returns sums by kind within the total less what the other kinds took."""
    leasts: float = sum(it[1] for it in sums.values())  # type: ignore[misc]
    highest = {
        kind: it[2] + unseen + unknown.get(kind, 0)  # type: ignore[operator]
        for kind, it in sums.items()
    }
    # Each status that nobody saw is counted once for all of the other kinds.
    told: float = sum(it[2] for it in sums.values())  # type: ignore[misc]
    whole_unknown = max(unknown.values(), default=0)
    found = {}
    for kind, (value, least, most) in sums.items():
        most_here = min(highest[kind], total[2] - leasts + least)  # type: ignore[operator]
        least_here = least
        others = told - most + unseen + whole_unknown  # type: ignore[operator]
        if others < inf and total[1] - others > least:  # type: ignore[operator]
            least_here = total[1] - others
        if value is not None and unseen > _WIDE and unseen > value:
            value = None
        found[kind] = Duration(value, least_here, most_here)  # type: ignore[arg-type]
    return found
