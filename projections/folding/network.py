"""The network of a run: what two clocks that are never compared prove of its boundaries.

The moments at which the statuses of a run began are unknown, as is by how much the service's clock
is ahead of ours. Known are intervals of two kinds: of the service's clock, for which a stamp
stands, and of our clock, between the last look without a status and the first one with it. With the
order of the statuses they form a simple temporal network. It is a chain with one node more, so its
tightest bounds follow from running maxima and minima, in time proportional to its length. All
values are in whole microseconds; unknown ends are infinite.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

SERVER, OBSERVED, INFERRED = "server", "observed", "inferred"

# How fast two clocks that nobody adjusts drift apart, at most, in millionths.
_DRIFT = 100
NO_OFFSET = (-inf, inf)

# The ends of a boundary: lower ones by the service's clock and by ours, then upper ones.
Box = tuple[float, float, float, float]


class Boundary(NamedTuple):
    """The evidence of the moment at which a status began."""

    status: str
    # By the service's clock: the stamp, and the last microsecond for which it may stand.
    low: float = -inf
    high: float = inf
    # By our clock: when the last look without the status was asked for, and when the first look
    # with it was here.
    after: float = -inf
    until: float = inf
    # True if another status, which nobody saw, may lie before it.
    is_loose: bool = False
    basis: str = OBSERVED
    # By how much the service's clock was ahead of ours, as known when this was recorded.
    ahead: tuple[float, float] = NO_OFFSET


class Solution(NamedTuple):
    """The tightest ends of all boundaries by both clocks, and of the offset between the clocks."""

    lows: Sequence[float]
    afters: Sequence[float]
    highs: Sequence[float]
    untils: Sequence[float]
    # By how much the service's clock is ahead of ours.
    least_ahead: float
    most_ahead: float
    # How much the ends by our clock were widened, for the drift.
    slip: int

    def box(self, place: int) -> Box:
        """Returns the ends of a boundary."""
        return self.lows[place], self.afters[place], self.highs[place], self.untils[place]


def measure_clocks(line: Sequence[Boundary]) -> tuple[float, float, int]:
    """Returns how far the clocks are apart as far as is told, and how far they may drift."""
    least, most, first, last, is_stamped = -inf, inf, inf, -inf, False
    for _, low, high, _, until, _, _, ahead in line:
        if ahead is not NO_OFFSET:
            least, most = max(least, ahead[0]), min(most, ahead[1])
        if until < inf:
            if until < first:
                first = until
            if until > last:
                last = until
        if low > -inf or high < inf:
            is_stamped = True
    if not is_stamped:
        # Then there is one clock, ours.
        least = most = 0
    return least, most, 0 if last < first else int((last - first) * _DRIFT // 2_000_000) + 1


def solve(
    line: Sequence[Boundary], least_ahead: float, most_ahead: float, slip: int = 0
) -> Solution | None:
    """Returns the tightest ends of all boundaries; None if the evidence contradicts itself."""
    lows, afters = [], []
    low = after = -inf
    for it in line:
        if it[1] > low:
            low = it[1]
        if it[3] > after:
            after = it[3]
        lows.append(low)
        afters.append(after - slip)
    number = len(line)
    highs, untils = [inf] * number, [inf] * number
    high = until = inf
    for place in range(number - 1, -1, -1):
        it = line[place]
        if it[2] < high:
            high = it[2]
        if it[4] < until:
            until = it[4]
        highs[place] = high
        untils[place] = late = until + slip
        low, after = lows[place], afters[place]
        if low > high or after > late:
            return None
        if low - late > least_ahead:
            least_ahead = low - late
        if high - after < most_ahead:
            most_ahead = high - after
    if least_ahead > most_ahead:
        return None
    return Solution(lows, afters, highs, untils, least_ahead, most_ahead, slip)
