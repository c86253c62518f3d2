"""The phases of a run, as a solved network gives them: estimates with their tightest bounds."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple, cast

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
    known = cast("list[int]", moments)
    if None in moments:
        known = _show_moments(moments, line, solution)
    phases = _find_phases(line, solution, moments, known)
    if is_disputed:
        phases = [it._replace(basis=DISPUTED) for it in phases]
    first, last = moments[0], moments[-1]
    whole = None if first is None or last is None else last - first
    ahead = solution[4], solution[5]
    total = between(solution.box(0), solution.box(-1), *ahead, whole)
    if total[0] is None:
        for phase in phases:
            if phase[3][0] is None:
                break
        else:
            total = total._replace(value=whole)
    kinds = _sum_kinds(phases, line, total, hides_pause=hides_pause)
    values = (line, known, moments, phases, total, kinds, solution, last is not None)
    return _new_estimate(Estimate, values)


# Half of the cost of the constructors.
_new_phase = tuple.__new__
_new_duration = tuple.__new__
_new_estimate = tuple.__new__


def _find_phases(
    line: Sequence[Boundary],
    solution: Solution,
    moments: Sequence[int | None],
    known: Sequence[int],
) -> list[Phase]:
    """Returns the phases, each as `between` measures it: here in one pass, for speed."""
    lows, afters, highs, untils, least_ahead, most_ahead, slip = solution
    phases: list[Phase] = []
    status, _, _, _, _, _, basis, *_ = line[0]
    low, after, high, until = lows[0], afters[0], highs[0], untils[0]
    entered, moment = known[0], moments[0]
    for place in range(1, len(line)):
        next_status, _, _, seen_after, _, is_loose, next_basis, *_ = line[place]
        next_low, next_after = lows[place], afters[place]
        next_high, next_until = highs[place], untils[place]
        most = next_high - low
        if (it := next_until - after) < most:
            most = it
        if (it := next_high - after - least_ahead) < most:
            most = it
        if (it := next_until - low + most_ahead) < most:
            most = it
        least: float = 0
        if is_loose:
            seen_after -= slip
            if (it := seen_after - until) > least:
                least = it
            if (it := seen_after + least_ahead - high) > least:
                least = it
        else:
            if (it := next_low - high) > least:
                least = it
            if (it := next_after - until) > least:
                least = it
            if (it := next_low - until - most_ahead) > least:
                least = it
            if (it := next_after + least_ahead - high) > least:
                least = it
        left = moments[place]
        value = None if left is None or moment is None else left - moment
        if value is not None and most - least > _WIDE and most - least > value:
            value = None
        shown = known[place]
        weaker = SERVER if basis == next_basis == SERVER else OBSERVED
        if status == UNKNOWN:
            weaker = UNKNOWN
        elif basis == INFERRED or next_basis == INFERRED:
            weaker = INFERRED
        duration = _new_duration(Duration, (value, least, most))
        phases.append(_new_phase(Phase, (status, entered, shown, duration, weaker)))
        status, basis, entered, moment = next_status, next_basis, shown, left
        low, after, high, until = next_low, next_after, next_high, next_until
    return phases


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
    lows, afters, highs, untils, *_ = solution
    moments: list[int | None] = []
    for low, after, high, until in zip(lows, afters, highs, untils, strict=True):
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


def _show_moments(
    moments: Sequence[int | None], line: Sequence[Boundary], solution: Solution
) -> list[int]:
    """Returns moments to show, in order, also of boundaries whose place is not known."""
    known: list[int] = []
    latest = -inf
    for place, moment in enumerate(moments):
        shown = _find_earliest(place, solution, line[place]) if moment is None else moment
        latest = shown if shown > latest else latest
        known.append(int(latest))
    return known


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


def _sum_kinds(
    phases: Sequence[Phase], line: Sequence[Boundary], total: Duration, *, hides_pause: bool
) -> dict[str, Duration]:
    """Returns the sums by kind: what one kind surely took, no other did."""
    sums: dict[str, Duration] = {}
    unseen: float = 0
    unknown: float = 0
    is_unknown = False
    place = 0
    for status, _, _, duration, _ in phases:
        place += 1
        value, least, most = duration
        if line[place][5]:
            # A status that nobody saw may be of any kind.
            unseen += most - least
        if status == UNKNOWN:
            unknown += most
            is_unknown = True
            continue
        kind = _KIND_OF.get(status, "running")
        known = sums.get(kind)
        if known is not None:
            before, least_before, most_before = known
            value = None if value is None or before is None else before + value
            duration = _new_duration(Duration, (value, least_before + least, most_before + most))
        sums[kind] = duration
    hidden: Sequence[str] = ()
    if is_unknown:
        hidden = KINDS if hides_pause else KINDS[:2]
        for kind in hidden:
            sums[kind] = sums.get(kind, Duration(None, 0, 0))._replace(value=None)
    if len(sums) == 1 and not unseen and not hidden:
        return sums
    return _limit_kinds(sums, unseen, dict.fromkeys(hidden, unknown), total)


def _limit_kinds(
    sums: dict[str, Duration], unseen: float, unknown: dict[str, float], total: Duration
) -> dict[str, Duration]:
    """Returns sums by kind within the total less what the other kinds took."""
    leasts: float = 0
    # Each status that nobody saw is counted once for all of the other kinds.
    told = unseen
    for _, least, most in sums.values():
        leasts += least
        told += most
    if unknown:
        told += max(unknown.values())
    _, total_least, total_most = total
    found = {}
    for kind, (value, least, most) in sums.items():
        highest = most + unseen
        if unknown:
            highest += unknown.get(kind, 0)
        if (it := total_most - leasts + least) < highest:
            highest = it
        lowest = least
        if most < inf and (others := told - most) < inf and total_least - others > least:
            lowest = int(total_least - others)
        if value is not None and unseen > _WIDE and unseen > value:
            value = None
        found[kind] = _new_duration(Duration, (value, lowest, highest))
    return found
