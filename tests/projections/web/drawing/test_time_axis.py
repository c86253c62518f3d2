"""The time axis: laws of its places and folds."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from projections.web.drawing.time_axis import Fold, TimeAxis, fold_axis

lengths = st.floats(0.001, 10**8, allow_nan=False)
shares = st.lists(st.floats(0, 1), max_size=12)


@given(lengths, shares, st.lists(st.floats(-0.5, 1.5), min_size=2, max_size=20))
def test_places_are_in_order_and_within_the_axis(
    length: float, edges: list[float], moments: list[float]
) -> None:
    axis = fold_axis(0.0, length, [it * length for it in edges], scaled=False)
    places = [axis.place(it * length) for it in sorted(moments)]
    assert all(0 <= it <= 100 for it in places)
    assert places == sorted(places)
    assert axis.place(0.0) == 0
    assert axis.place(length) == 100


@given(lengths, shares)
def test_the_edges_of_a_fold_are_its_ends(length: float, edges: list[float]) -> None:
    axis = fold_axis(0.0, length, [it * length for it in edges], scaled=False)
    for fold in axis.folds:
        width = axis.place(fold.end) - axis.place(fold.start)
        assert abs(width - axis.fold_width) < 1e-6
    for fold in axis.folds:
        assert not any(fold.start < it * length < fold.end for it in edges)


@given(lengths, shares)
def test_ticks_are_apart_and_outside_of_folds(length: float, edges: list[float]) -> None:
    axis = fold_axis(0.0, length, [it * length for it in edges], scaled=False)
    ticks = axis.ticks()
    places = [axis.place(it) for it in ticks]
    assert len(ticks) <= 10
    assert all(second - first > 10.9 for first, second in pairwise(places))
    assert not any(fold.start < it < fold.end for it in ticks for fold in axis.folds)


def test_a_long_wait_is_folded_and_its_ends_stay_readable() -> None:
    axis = fold_axis(0.0, 10_000.0, [10.0, 20.0, 9_980.0, 9_990.0], scaled=False)
    assert axis.folds == (Fold(20.0, 9_980.0),)
    assert axis.place(10.0) == 23.25
    assert fold_axis(0.0, 10_000.0, [10.0, 20.0, 9_980.0], scaled=True).folds == ()


def test_nothing_is_folded_in_a_short_run() -> None:
    assert fold_axis(0.0, 30.0, [1.0, 29.0], scaled=False).folds == ()


def test_many_folds_leave_half_of_the_width() -> None:
    folds = [Fold(it * 10 + 1, it * 10 + 9) for it in range(100)]
    axis = TimeAxis(0, 1_000, folds, 4.0)
    assert axis.fold_width == 0.5
    assert axis.place(1_000) == 100
