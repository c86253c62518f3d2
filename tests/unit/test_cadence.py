"""The waits between looks: pure numbers, always within their bounds."""

from hypothesis import given
from hypothesis import strategies as st

from tracker.polling.cadence import Cadence, backoff, wait

ages = st.floats(0, 1e7)
jitters = st.floats(-1, 1)


@given(ages, jitters)
def test_a_wait_is_within_its_bounds(age: float, jitter: float) -> None:
    cadence = Cadence(shortest=0.25, longest=10.0)
    assert 0.25 * 0.95 <= wait(cadence, age, hint=None, jitter=jitter) <= 10.0 * 1.05


@given(ages, st.floats(0, 3600), jitters)
def test_a_hint_is_never_undercut(age: float, hint: float, jitter: float) -> None:
    assert wait(Cadence(), age, hint=hint, jitter=jitter) >= hint


@given(ages, ages)
def test_a_run_that_has_not_changed_for_longer_is_asked_no_sooner(one: float, other: float) -> None:
    young, old = sorted((one, other))
    assert wait(Cadence(), young, hint=None, jitter=0) <= wait(Cadence(), old, hint=None, jitter=0)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_backoff_is_bounded_and_grows(failures: int, jitter: float) -> None:
    pause = backoff(failures, asked=None, jitter=jitter)
    assert 0.1 <= pause <= 60.0
    assert pause <= backoff(failures + 1, asked=None, jitter=jitter)


@given(st.integers(1, 100), st.floats(0, 1e9))
def test_what_the_service_asked_for_holds_up_to_two_minutes(failures: int, asked: float) -> None:
    assert backoff(failures, asked=asked, jitter=0.5) == min(asked, 120.0)
