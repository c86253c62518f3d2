"""The rate limiter and the circuit breaker, against the behaviour of services."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.polling.policy import circuit_breaker, rate_limiter
from tracker.polling.policy.circuit_breaker import CircuitBreaker
from tracker.simulator.model.throttle import Throttle

actions = st.lists(
    st.tuples(st.sampled_from(["second", "request", "refused", "told"]), st.floats(0, 200)),
    max_size=200,
)


@given(actions, st.floats(0.5, 50))
def test_the_rate_stays_between_the_floor_and_what_the_user_allows(
    seen: list[tuple[str, float]], ceiling: float
) -> None:
    limit, now, sent = rate_limiter.initial(5.0, ceiling), 0.0, 0
    for what, number in seen:
        before = limit.rate
        match what:
            case "second":
                now += 1.0
                limit = rate_limiter.increase(limit, now, sent)
                assert limit.rate <= max(before + 0.3, before * 1.1) + 1e-9
            case "request":
                sent += 5
            case "refused":
                limit = rate_limiter.on_429(limit, now, number)
                assert now <= limit.held_until
            case "told":
                limit = rate_limiter.on_remaining(limit, now, number, sent)
        assert limit.rate >= before * 0.7 * (1 - 1e-9) or what == "refused"
        assert 0.5 <= limit.rate <= ceiling


def test_a_second_of_use_without_a_refusal_adds_a_little() -> None:
    limit = rate_limiter.increase(rate_limiter.initial(5.0, None), 0.0, 0)
    assert rate_limiter.increase(limit, 1.0, 0).rate == 5.0
    assert rate_limiter.increase(limit, 0.9, 5).rate == 5.0
    assert rate_limiter.increase(limit, 1.0, 5).rate == pytest.approx(5.3)


def test_many_refusals_within_a_second_cut_once() -> None:
    limit = rate_limiter.initial(10.0, None)
    for moment in (5.0, 5.1, 5.9):
        limit = rate_limiter.on_429(limit, moment, 0.0)
    assert limit.rate == pytest.approx(7.0)
    assert rate_limiter.on_429(limit, 6.0, 0.0).rate == pytest.approx(4.9)


def test_a_hold_lasts_two_minutes_at_most_and_is_not_shortened() -> None:
    limit = rate_limiter.on_429(rate_limiter.initial(5.0, None), 0.0, 1e6)
    assert limit.held_until == 120.0
    assert rate_limiter.on_429(limit, 1.0, 2.0).held_until == 120.0


@given(st.floats(0.5, 1000), st.floats(1, 200), st.floats(0, 30))
def test_what_is_let_out_is_the_rate_and_a_burst(rate: float, burst: float, span: float) -> None:
    arrival, now, sent = -math.inf, 0.0, 0
    while now <= span and sent < 5_000:
        pause = rate_limiter.delay(arrival, now, rate, burst)
        if pause > 1e-9:
            now += pause
            continue
        arrival = rate_limiter.consume(arrival, now, rate)
        sent += 1
    assert sent <= burst + rate * now + 1


def drive(seconds: float, throttle: Throttle, *, uses_headers: bool) -> tuple[float, int, int]:
    """The rate at the end, and how many were asked and refused in the second half."""
    limit, arrival, now = rate_limiter.initial(5.0, None), 0.0, 0.0
    sent = asked = refused = 0
    while now < seconds:
        limit = rate_limiter.increase(limit, now, sent)
        if now >= limit.held_until and not rate_limiter.delay(
            arrival, now, limit.rate, rate_limiter.burst(limit.rate)
        ):
            arrival = rate_limiter.consume(arrival, now, limit.rate)
            sent += 1
            pause = throttle.consume(now)
            asked += now > seconds / 2
            if pause:
                refused += now > seconds / 2
                limit = rate_limiter.on_429(limit, now, pause)
            elif uses_headers:
                limit = rate_limiter.on_remaining(limit, now, int(throttle.tokens), sent)
        now += 0.01
    return limit.rate, asked, refused


def test_the_rate_finds_a_services_limit_and_loses_little_to_refusals() -> None:
    rate, asked, refused = drive(600.0, Throttle(1000.0, burst=50.0), uses_headers=False)
    assert 11.0 < rate < 24.0
    assert refused <= 0.01 * asked
    assert asked / 300.0 > 0.9 * 1000 / 60


def test_what_the_service_says_is_left_spares_the_refusals() -> None:
    rate, asked, refused = drive(600.0, Throttle(1000.0, burst=50.0), uses_headers=True)
    assert 14.0 < rate < 18.0
    assert refused <= 0.001 * asked
    assert asked / 300.0 > 0.95 * 1000 / 60


def test_what_is_left_does_not_slow_a_service_that_has_plenty() -> None:
    limit = rate_limiter.initial(100.0, None)
    for second in range(60):
        left = 0.0 if second % 2 else 1.0
        limit = rate_limiter.on_remaining(limit, float(second), left, 20 * second)
    assert limit.rate >= 14.0


@given(st.floats(0, 1))
def test_a_breaker_opens_after_five_in_a_row(jitter: float) -> None:
    state = CircuitBreaker()
    for _ in range(4):
        state = circuit_breaker.on_failure(state, 10.0, jitter)
        assert not state.is_open
    state = circuit_breaker.on_failure(state, 10.0, jitter)
    assert state.is_open
    assert 11.0 <= state.probe_at <= 12.0
    for _ in range(10):
        state = circuit_breaker.on_failure(state, 10.0, jitter)
        assert 11.0 <= state.probe_at <= 70.0
    assert circuit_breaker.on_success(state) == CircuitBreaker()


def test_a_breaker_opens_when_more_than_half_of_twenty_failed() -> None:
    state = CircuitBreaker()
    for _ in range(9):
        state = circuit_breaker.on_success(circuit_breaker.on_failure(state, 0.0, 0.5))
    state = circuit_breaker.on_failure(circuit_breaker.on_failure(state, 0.0, 0.5), 0.0, 0.5)
    assert state.is_open
    assert state.failures_in_a_row == 2


def test_a_breaker_stays_closed_under_occasional_failures() -> None:
    state = CircuitBreaker()
    for number in range(1000):
        state = (
            circuit_breaker.on_failure(state, 0.0, 0.5)
            if number % 3 == 0
            else circuit_breaker.on_success(state)
        )
        assert not state.is_open
