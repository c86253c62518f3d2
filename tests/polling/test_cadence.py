"""Waits between polls: always within their bounds."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.polling.policy.cadence import Cadence, backoff, poll_delay, step, weight
from tracker.polling.policy.hazards import (
    BINS,
    EDGES,
    Counts,
    Curve,
    bin_of,
    model_hazards,
    pooled_hazards,
)

ages = st.floats(0, 1e5)
jitters = st.floats(-1, 1)
rates = st.floats(0.5, 1e4)
counts = st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 100)), max_size=30)


def make_counts(seen: list[tuple[float, float]]) -> Counts:
    result = Counts()
    for since, lasted in seen:
        result.add_exposure(since, since + lasted)
        result.add_change(since + lasted)
    return result


def age_after(curve: Curve, age: float, earned: float) -> float:
    return age + curve.delay(age, bin_of(age), earned)


def delay_of(wanted: float, **others: float | None) -> float:
    given = {"runs": 10, "rate": 5.0, "jitter": 0.0, **others}
    return poll_delay(Cadence(), wanted, **given)  # type: ignore[arg-type]


@given(st.floats(0, 1e9), st.integers(0, 100_000), rates, jitters)
def test_a_wait_is_within_its_bounds(wanted: float, runs: int, rate: float, jitter: float) -> None:
    result = poll_delay(Cadence(), wanted, runs=runs, rate=rate, jitter=jitter)
    assert 0.1 <= result <= max(30.0, 6 * runs / rate)


@given(st.floats(0, 1e5), st.floats(0, 3600), st.floats(-10, 1000), jitters)
def test_a_hint_is_never_undercut(wanted: float, hint: float, left: float, jitter: float) -> None:
    assert delay_of(wanted, hint=hint, expires_in=left, jitter=jitter) >= hint


@given(st.floats(0, 1e5), st.floats(0, 1000), jitters)
def test_a_wait_never_goes_past_the_deadline(wanted: float, left: float, jitter: float) -> None:
    assert delay_of(wanted, expires_in=left, jitter=jitter) <= left + 0.2


@given(ages, st.floats(0.2, 50))
def test_a_cold_start_polls_on_the_square_root_of_the_age(age: float, earned: float) -> None:
    curve = Curve(pooled_hazards(Counts()))
    after = age_after(curve, age, earned)
    gained = 2 * ((after + 1) ** 0.5 - (age + 1) ** 0.5)
    if after < EDGES[-1]:
        assert gained == pytest.approx(earned, rel=0.2)


@given(counts, ages, st.floats(0, 50), st.floats(0, 50))
def test_earning_twice_is_earning_the_sum(
    seen: list[tuple[float, float]], age: float, one: float, other: float
) -> None:
    curve = Curve(model_hazards(make_counts(seen), pooled_hazards(Counts())))
    together = age_after(curve, age, one + other)
    assert age_after(curve, age_after(curve, age, one), other) == pytest.approx(
        together, rel=1e-6, abs=1e-6
    )
    assert together >= age * (1 - 1e-9)


@given(counts)
def test_hazards_are_positive_and_lie_between_the_pool_and_the_counts(
    seen: list[tuple[float, float]],
) -> None:
    pool, own = pooled_hazards(Counts()), make_counts(seen)
    hazards = model_hazards(own, pool)
    assert len(hazards) == BINS
    for hazard, pooled, events, exposure in zip(
        hazards, pool, own.events, own.exposure, strict=True
    ):
        assert hazard > 0
        if exposure:
            low, high = sorted((pooled, events / exposure))
            assert low * (1 - 1e-9) <= hazard <= high * (1 + 1e-9)


@given(ages, st.floats(0, 1000))
def test_exposure_is_counted_once(since: float, lasted: float) -> None:
    seen = Counts()
    seen.add_exposure(since, since + lasted)
    assert sum(seen.exposure) == pytest.approx(lasted, abs=1e-9)


@pytest.mark.parametrize("hazard", [0.02, 0.1, 0.5])
def test_learned_hazards_converge(hazard: float) -> None:
    chance, own = Random(1), Counts()
    for _ in range(5_000):
        life = chance.expovariate(hazard)
        own.add_exposure(0.0, life)
        own.add_change(life)
    hazards = model_hazards(own, pooled_hazards(Counts()))
    for age in (0.5, 1.0, 2.0):
        index = max(number for number in range(BINS) if EDGES[number] <= age / hazard / 2)
        assert hazards[index] == pytest.approx(hazard, rel=0.2)


@given(st.lists(st.tuples(st.floats(0, 600), st.sampled_from([1.0, 0.25])), min_size=1), rates)
def test_the_shares_of_all_runs_sum_to_the_rate(
    runs: list[tuple[float, float]], rate: float
) -> None:
    curve = Curve(pooled_hazards(Counts()))
    shares = [w**0.5 * curve.shares[bin_of(age)] for age, w in runs]
    earned = step(Cadence(step=0.0), sum(shares), rate)
    # A run that earns s a second is polled s / step times a second.
    assert sum(share / earned for share in shares) == pytest.approx(0.95 * rate)


def test_what_waits_for_others_weighs_less_and_what_waits_for_us_next_to_nothing() -> None:
    assert weight(0.0, answered_here=False) == 0.1
    assert weight(0.1, answered_here=False) == pytest.approx(0.3)
    assert weight(5.0, answered_here=False) == 1.0
    assert weight(5.0, answered_here=True) == 0.01


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_backoff_is_bounded_and_grows(failures: int, jitter: float) -> None:
    pause = backoff(failures, asked=None, jitter=jitter)
    assert 0.1 <= pause <= 60.0
    assert pause <= backoff(failures + 1, asked=None, jitter=jitter)


@given(st.integers(1, 100), st.floats(0, 1e9))
def test_what_the_service_asked_for_holds_up_to_two_minutes(failures: int, asked: float) -> None:
    assert backoff(failures, asked=asked, jitter=0.5) == min(asked, 120.0)
