"""The estimator of the phases of a run, from all evidence of its boundaries.

Evidence contradicts itself after a stale answer, or where a clock was set. Then the estimate is
that of the first of these rules that leaves no contradiction. The bounds include those of every
such rule, and of our looks alone, so they hold if either clock told the truth:

1. An answer may show too little, never too much: that a look did not show a status is no evidence.
2. Each look is translated by the offset that was recorded with it.
3. The stamps of the service count alone.
4. They contradict each other: creation and end hold, and limit the boundaries between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from projections.folding.durations import Duration, Estimate, measure
from projections.folding.network import NO_OFFSET, Boundary, measure_clocks, solve


def estimate(line: Sequence[Boundary], *, hides_pause: bool = True) -> Estimate:
    """Returns the phases of a run from its creation to the last of its boundaries.

    `hides_pause` says whether a phase of status `unknown` may include a pause. The estimated
    moments are one of the possible solutions, so the phases sum to the total.
    """
    least, most, slip = measure_clocks(line)
    solution = solve(line, least, most, slip)
    if solution is None:
        return _estimate_disputed(line, least, most, slip, hides_pause=hides_pause)
    return measure(line, solution, hides_pause=hides_pause)


def _estimate_disputed(
    line: Sequence[Boundary],
    least_ahead: float,
    most_ahead: float,
    slip: int,
    *,
    hides_pause: bool,
) -> Estimate:
    if least_ahead > most_ahead:
        least_ahead, most_ahead = NO_OFFSET
    is_stamped = any(it.low > -inf or it.high < inf for it in line)
    apart = NO_OFFSET if is_stamped else (0, 0)
    stale = [it._replace(after=-inf) for it in line]
    alone = [it._replace(after=-inf, until=inf) for it in line]
    trials = [
        (stale, (least_ahead, most_ahead), slip),
        ([_translate(it, slip) for it in line], apart, 0),
        (alone, apart, 0),
    ]
    found = _measure_all(line, trials, hides_pause=hides_pause)
    if not found:
        found = _measure_all(line, [(_clamp(line), NO_OFFSET, 0)], hides_pause=hides_pause)
    ours = [it._replace(low=-inf, high=inf) for it in line]
    found += _measure_all(line, [(ours, (0, 0), slip)], hides_pause=hides_pause)
    point, *others = found
    for other in others:
        point = _widen(point, other)
    return point


def _measure_all(
    line: Sequence[Boundary],
    trials: Sequence[tuple[Sequence[Boundary], tuple[float, float], int]],
    *,
    hides_pause: bool,
) -> list[Estimate]:
    solved = [(trial, solve(trial, *ahead, slip)) for trial, ahead, slip in trials]
    return [
        measure(trial, solution, hides_pause=hides_pause, is_disputed=True)
        for trial, solution in solved
        if solution is not None
    ]


def _translate(it: Boundary, slip: int) -> Boundary:
    least, most = it.ahead
    return it._replace(
        low=max(it.low, it.after - slip + least),
        high=min(it.high, it.until + slip + most),
        after=-inf,
        until=inf,
    )


def _clamp(line: Sequence[Boundary]) -> list[Boundary]:
    """Returns the stamps in order: none before the creation, none after the end."""
    floor = line[0].low
    roof = max(line[-1].high, floor) if line[-1].low > -inf else inf
    clamped = []
    for it in line:
        low = min(max(it.low, floor), roof)
        floor = max(floor, low)
        high = min(max(it.high, low), roof)
        clamped.append(it._replace(low=low, high=high, after=-inf, until=inf))
    return clamped


def _widen(one: Estimate, other: Estimate) -> Estimate:
    """Returns an estimate with the bounds of both."""
    phases = [
        it._replace(duration=_join(it.duration, its.duration))
        for it, its in zip(one.phases, other.phases, strict=True)
    ]
    kinds = {
        kind: _join(it, other.kinds[kind]) if kind in other.kinds else it
        for kind, it in one.kinds.items()
    }
    return one._replace(phases=phases, kinds=kinds, total=_join(one.total, other.total))


def _join(one: Duration, other: Duration) -> Duration:
    # Where the other limits nothing, this limit stands.
    most = one.at_most if other.at_most == inf else max(one.at_most, other.at_most)
    return Duration(one.value, min(one.at_least, other.at_least), most)
