"""The estimator: the tightest bounds that two clocks prove, and estimates within them."""

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.folding.durations import (
    DISPUTED,
    Duration,
    Estimate,
    between,
    find_moment,
    measure,
)
from projections.folding.estimator import estimate
from projections.folding.micros import SECOND
from projections.folding.network import NO_OFFSET, Boundary, measure_clocks, solve
from tests.support.examples import examples
from tests.support.networks import Network, networks, solve_by_paths

_law = settings(deadline=None, max_examples=examples(150))
_bounds = st.tuples(st.integers(-5, 5), st.integers(0, 8))


def stamp(second: float, width: int = SECOND - 1, **more: float) -> dict[str, float]:
    low = int(second * SECOND)
    return {"low": low, "high": low + width, **more}


def looks(after: float, until: float) -> dict[str, float]:
    return {"after": after * SECOND, "until": until * SECOND}


def durations_of(found: Estimate) -> list[Duration]:
    return [it.duration for it in found.phases]


@_law
@given(networks(grain=5), _bounds, st.booleans())
def test_bounds_are_those_of_floyd_and_warshall(
    network: Network, bounds: tuple[int, int], is_told: bool
) -> None:
    line = [
        it._replace(low=network.moments[place] // 5 * 5, high=network.moments[place] // 5 * 5 + 4)
        if it.low > -inf
        else it
        for place, it in enumerate(network.line)
    ]
    least, most = (network.ahead + bounds[0], network.ahead + bounds[0] + bounds[1])
    ahead = (float(least), float(most)) if is_told else (-inf, inf)
    paths, solution = solve_by_paths(line, *ahead), solve(line, *ahead)
    assert (paths is None) == (solution is None)
    if paths is None or solution is None:
        return
    clocks = (solution.least_ahead, solution.most_ahead)
    assert clocks == (-paths[-1][-2], paths[-2][-1])
    for one in range(len(line)):
        for other in range(one + 1, len(line)):
            _, least_, most_ = between(solution.box(one), solution.box(other), *clocks, None)
            assert (least_, most_) == (max(0, -paths[other][one]), paths[one][other])


@_law
@given(networks())
def test_the_truth_is_inside_all_bounds_and_phases_sum_to_the_total(network: Network) -> None:
    found = estimate(network.line)
    moments = network.moments
    assert all(it.basis != DISPUTED for it in found.phases)
    for place, duration in enumerate(durations_of(found)):
        true = moments[place + 1] - moments[place]
        assert duration.at_least <= true <= duration.at_most
        if duration.value is not None:
            assert duration.at_least <= duration.value <= duration.at_most
    assert found.total.at_least <= moments[-1] - moments[0] <= found.total.at_most
    assert found.moments == sorted(found.moments)
    values = [it.value for it in durations_of(found)]
    if None not in values:
        assert sum(values) == found.total.value
    truths = {"queued": 0, "running": 0, "action": 0}
    kinds = {"queued": "queued", "in_progress": "running", "requires_action": "action"}
    for place, phase in enumerate(found.phases):
        truths[kinds[phase.status]] += moments[place + 1] - moments[place]
    for kind, duration in found.kinds.items():
        assert duration.at_least <= truths[kind] <= duration.at_most


@_law
@given(networks(), st.data())
def test_the_pass_over_a_line_measures_each_phase_as_between_does(
    network: Network, data: st.DataObject
) -> None:
    places = st.integers(0, len(network.line) - 1)
    loose, slip = data.draw(st.sets(places)), data.draw(st.integers(0, 5))
    line = [it._replace(is_loose=place in loose) for place, it in enumerate(network.line)]
    solution = solve(line, *NO_OFFSET, slip)
    if solution is None:
        return
    found = measure(line, solution, hides_pause=True)
    for place, phase in enumerate(found.phases, 1):
        begun, over = (find_moment(solution.box(it), solution) for it in (place - 1, place))
        boundary = line[place]
        assert phase.duration == between(
            solution.box(place - 1),
            solution.box(place),
            solution.least_ahead,
            solution.most_ahead,
            None if begun is None or over is None else over - begun,
            boundary.after - solution.slip if boundary.is_loose else None,
        )


@_law
@given(networks(), st.data())
def test_more_evidence_never_widens_a_bound(network: Network, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(network.line) - 1))
    unknown = data.draw(
        st.sampled_from([{"after": -inf}, {"until": inf}, {"low": -inf, "high": inf}])
    )
    less = list(network.line)
    less[place] = less[place]._replace(**unknown)
    if not any(it.low > -inf for it in less):
        # Then there is one clock, which is a claim and no evidence.
        return
    # A later look leaves more time for the clocks to drift apart.
    slip = 4 * measure_clocks(network.line)[2]
    for more, fewer in zip(
        durations_of(estimate(network.line)), durations_of(estimate(less)), strict=True
    ):
        assert fewer.at_least - slip <= more.at_least
        assert more.at_most <= fewer.at_most + slip


@_law
@given(networks(), st.integers(-(10**15), 10**15))
def test_our_clock_may_be_anywhere(network: Network, shift: int) -> None:
    moved = [it._replace(after=it.after + shift, until=it.until + shift) for it in network.line]
    if not any(it.low > -inf for it in moved):
        return
    for one, other in zip(
        durations_of(estimate(network.line)), durations_of(estimate(moved)), strict=True
    ):
        assert one[1:] == other[1:]
        assert (one.value is None) == (other.value is None)
        assert abs((one.value or 0) - (other.value or 0)) <= 1


_ends = st.integers(-100, 100).map(lambda it: it * SECOND)
_odd_lines = st.lists(
    st.builds(
        lambda status, low, width, after, until: Boundary(
            status,
            -inf if low is None else low,
            inf if low is None else low + width,
            -inf if after is None else after,
            inf if until is None else until,
        ),
        st.sampled_from(("queued", "in_progress", "requires_action", "completed", "expired")),
        st.none() | _ends,
        st.sampled_from((0, SECOND - 1)),
        st.none() | _ends,
        st.none() | _ends,
    ),
    min_size=1,
    max_size=7,
)


@_law
@given(_odd_lines)
def test_any_evidence_gives_an_answer(line: list[Boundary]) -> None:
    found = estimate(line)
    assert found.moments == sorted(found.moments)
    values = [it.value for it in durations_of(found)]
    if None not in values:
        assert sum(values) == (found.total.value or 0)
    for duration in (*durations_of(found), *found.kinds.values(), found.total):
        assert 0 <= duration.at_least <= duration.at_most
        if duration.value is not None:
            assert duration.at_least <= duration.value <= duration.at_most


def test_the_errors_of_two_floored_stamps_cancel() -> None:
    line = [Boundary("queued", **stamp(0)), Boundary("completed", **stamp(10))]
    assert estimate(line).total == Duration(10 * SECOND, 9 * SECOND + 1, 11 * SECOND - 1)


def test_a_service_behind_us_gives_no_phase_past_the_end() -> None:
    # Its clock is 5 s behind ours.
    line = [
        Boundary("queued", **stamp(0), **looks(4.9, 5.1)),
        Boundary("in_progress", **looks(5.4, 6.2)),
        Boundary("completed", **stamp(1), **looks(6.2, 7.2)),
    ]
    found = estimate(line)
    assert found.moments[-1] <= 2 * SECOND
    ahead = (found.solution.least_ahead, found.solution.most_ahead)
    assert ahead == pytest.approx((-5.1 * SECOND, -4.2 * SECOND), abs=200)
    assert all(it.basis != DISPUTED for it in found.phases)


def test_a_stale_answer_is_disputed_and_the_stamps_hold() -> None:
    line = [
        Boundary("queued", **stamp(0), **looks(0, 0.1)),
        # An old answer said 9 s after the start that the run was still queued.
        Boundary("in_progress", **stamp(1), **looks(10, 10.1)),
        Boundary("completed", **stamp(20), **looks(19.5, 20.6)),
    ]
    found = estimate(line)
    assert {it.basis for it in found.phases} == {DISPUTED}
    assert found.phases[0].duration.value == pytest.approx(SECOND, abs=SECOND / 2)
    assert found.total.at_least <= 20 * SECOND <= found.total.at_most


def test_an_end_nobody_saw_and_nobody_stamped_has_no_length() -> None:
    line = [Boundary("unknown", **stamp(0), until=1e12), Boundary("completed", until=1e12)]
    found = estimate(line)
    assert (found.total, found.has_last) == (Duration(None, 0, inf), False)
    assert found.kinds["running"] == Duration(None, 0, inf)


def test_an_expiry_without_a_stamp_is_not_before_its_time() -> None:
    line = [Boundary("in_progress", **stamp(0)), Boundary("expired", low=600 * SECOND)]
    found = estimate(line)
    assert found.moments[-1] == 600 * SECOND
    assert found.total.at_least == 599 * SECOND + 1


def test_the_drift_of_the_clocks_widens_what_looks_prove() -> None:
    hours = 10 * 3600
    line = [
        Boundary("queued", **looks(0, 1)),
        Boundary("completed", **looks(hours, hours + 1)),
    ]
    assert measure_clocks(line) == (0, 0, int(hours * 50) + 1)
    found = estimate(line).total
    assert found.at_most - found.at_least == 2 * SECOND + 4 * (hours * 50 + 1)


def test_what_is_known_of_the_clocks_narrows_bounds() -> None:
    line = [
        Boundary("queued", **stamp(0), **looks(100, 100.2)),
        Boundary("completed", **stamp(5), **looks(104, 106)),
    ]
    told = [line[0]._replace(ahead=(-99.6e6, -99.5e6)), line[1]]
    wide, narrow = estimate(line).total, estimate(told).total
    assert narrow.at_most - narrow.at_least < wide.at_most - wide.at_least
