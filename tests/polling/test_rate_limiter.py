"""The rate limiter and the circuit breaker, against the behaviour of services."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.polling.policy import circuit_breaker, rate_limiter
from tracker.polling.policy.circuit_breaker import CircuitBreaker
from tracker.polling.policy.refusals import Refusals
from tracker.polling.request_limiter import RequestLimiter
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
                assert limit.rate <= 2.0 * before + 1e-9
            case "request":
                sent += 5
            case "refused":
                limit = rate_limiter.on_429(limit, now, number)
                assert now <= limit.held_until
            case "told":
                limit = rate_limiter.on_remaining(limit, now, number, sent)
        assert limit.rate >= before * 0.7 * (1 - 1e-9) or what == "refused"
        assert rate_limiter.FLOOR <= limit.rate <= ceiling


def use(limit: rate_limiter.RateLimit, now: float, seconds: int) -> rate_limiter.RateLimit:
    """Returns the limit after so many seconds in which the rate was used."""
    sent = limit.sent
    for second in range(1, seconds + 1):
        sent += int(limit.rate) + 1
        limit = rate_limiter.increase(limit, now + second, sent, accepted=sent)
    return limit


def test_a_rate_that_is_used_doubles_each_second_until_it_is_refused() -> None:
    limit = rate_limiter.increase(rate_limiter.initial(5.0, None), 0.0, 0)
    assert rate_limiter.increase(limit, 1.0, 0).rate == 5.0
    assert rate_limiter.increase(limit, 0.9, 5).rate == 5.0
    assert rate_limiter.increase(limit, 1.0, 5).rate == 10.0
    assert use(limit, 0.0, 4).rate == 80.0
    assert use(limit, 0.0, 60).rate == rate_limiter.MOST
    limit = rate_limiter.on_429(use(limit, 0.0, 4), 4.0, 0.0)
    assert limit.rate == pytest.approx(56.0)
    assert limit.refused_rate == pytest.approx(80.0)


def test_a_rate_does_not_grow_while_answers_are_slow() -> None:
    limit = rate_limiter.increase(rate_limiter.initial(5.0, None), 0.0, 0)
    slow = rate_limiter.increase(limit, 1.0, 5, is_slow=True)
    assert (slow.rate, slow.refused_rate) == (5.0, 5.0)


@given(st.floats(0.5, 300), st.floats(0.3, 3))
def test_once_it_is_answered_again_the_rate_is_what_was_accepted(rate: float, part: float) -> None:
    limit = rate_limiter.initial(rate, 1e9)._replace(measured_from=(0.0, 0))
    limit = rate_limiter.on_429(limit, 100.0, 1.0)
    accepted = int(100 * rate * part)
    resumed = rate_limiter.resumed(limit, 101.0, accepted, accepted)
    if accepted >= 10:
        assert resumed.rate == pytest.approx(0.94 * min(accepted / 101.0, rate))
    assert resumed.held_until < 0


def after_episode(pause: float) -> RequestLimiter:
    """Returns a limiter that was refused twice, at 10 a second, and probed after guessed pauses."""
    limiter = RequestLimiter(rate_limiter.initial(12.0, None))
    limiter.limit = limiter.limit._replace(refused_rate=12.0, measured_from=(0.0, 0))
    for number in range(2):
        refused_at = 20.0 * (1 + number)
        limiter.limit = limiter.limit._replace(rate=12.0)
        limiter.count(refused_at, 201)
        limiter.on_refusal(f"thread_{number}", refused_at, pause, is_asked=False)
        limiter.count(refused_at + pause)
        limiter.on_answer("another", refused_at + pause)
        limiter.on_answer(f"thread_{number}", refused_at + pause)
    return limiter


@pytest.mark.parametrize("pause", [0.5, 2.0, 6.0])
def test_the_accepted_rate_counts_from_refusal_to_refusal_whatever_pause_was_guessed(
    pause: float,
) -> None:
    # A bucket that fills at 10 a second is empty at both.
    assert after_episode(pause).rate == pytest.approx(0.94 * 10.0, rel=0.02)


def test_a_few_accepted_requests_show_that_a_rate_far_above_them_is_too_high() -> None:
    limit = rate_limiter.initial(5.0, None)._replace(measured_from=(0.0, 0))
    limit = rate_limiter.on_429(limit, 4.0, 1.0)
    assert rate_limiter.resumed(limit, 5.0, 5, 5).rate == pytest.approx(0.94)
    # They do not raise it.
    assert rate_limiter.resumed(limit, 1.2, 9, 9).rate == pytest.approx(3.5)


def test_no_burst_follows_the_probe_that_is_answered() -> None:
    limiter = RequestLimiter(rate_limiter.initial(10.0, None))
    # So many different ones that the source itself refuses.
    for subject in ("thread_1", "thread_2", "thread_3"):
        limiter.on_refusal(subject, 0.0, 1.0)
    assert limiter.allowance(1.0) == 1
    limiter.count(1.0)
    limiter.on_answer("thread_4", 1.1)
    assert limiter.allowance(1.1) == 0
    assert limiter.allowance(1.1 + 1.1 / limiter.rate) == 1


def test_a_moment_that_was_named_and_is_refused_again_cuts_the_rate() -> None:
    limiter = RequestLimiter(rate_limiter.initial(10.0, None))
    limiter.on_refusal("thread_0", 0.0, 1.0, is_asked=True)
    rates = [limiter.rate]
    for number in range(1, 4):
        limiter.count(5.0 * number)
        limiter.on_refusal(f"thread_{number}", 5.0 * number, 1.0, is_asked=True)
        rates.append(limiter.rate)
    assert rates == pytest.approx([7.0, 4.9, 3.43, 2.401])


def test_refusals_of_single_runs_are_no_tries_of_the_source() -> None:
    limiter = RequestLimiter(rate_limiter.initial(10.0, None))
    for moment in range(1, 40):
        limiter.count(moment)
        limiter.on_refusal("thread_1", moment, 1.0)
        limiter.count(moment + 0.4, 4)
        for number in range(4):
            limiter.on_answer(f"thread_{number + 2}", moment + 0.5)
    assert limiter.refusals.is_own("thread_1")
    limiter.on_refusal("thread_1", 50.0, 1.0)
    assert limiter.next_refused_tries == 1


@given(st.lists(st.integers(0, 40), max_size=300))
def test_refusals_name_every_subject_its_own_or_the_rates(subjects: list[int]) -> None:
    refusals = Refusals()
    for number in subjects:
        subject = str(number)
        # The even ones are always refused, the odd ones always answered.
        if number % 2 == 0:
            refusals.on_refusal(subject)
            assert refusals.times(subject) >= 1
        else:
            assert not refusals.on_answer(subject)
            assert refusals.in_a_row == 0


def test_one_that_is_refused_while_others_are_answered_is_refused_alone() -> None:
    refusals = Refusals()
    assert refusals.on_refusal("one") == "cut"
    for number in range(3):
        refusals.on_answer(str(number))
    assert refusals.is_cut_in_doubt
    assert refusals.on_refusal("one") == "own"
    assert not refusals.is_cut_in_doubt
    assert refusals.on_refusal("another") == "cut"
    assert refusals.on_answer("another")
    assert not refusals.is_cut_in_doubt


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
    limiter, now = RequestLimiter(rate_limiter.initial(5.0, None)), 0.0
    asked = refused = 0
    again = ""
    while now < seconds:
        if limiter.allowance(now):
            # What was refused is asked again next.
            subject, again = again or str(limiter.sent), ""
            limiter.count(now)
            pause = throttle.consume(now)
            asked += now > seconds / 2
            if pause:
                refused += now > seconds / 2
                limiter.on_refusal(subject, now, pause)
                again = subject
            else:
                limiter.on_answer(subject, now)
            if uses_headers and not pause:
                left, limit = int(throttle.tokens), limiter.limit
                limiter.limit = rate_limiter.on_remaining(limit, now, left, limiter.sent)
        now += 0.01
    return limiter.rate, asked, refused


def test_the_rate_finds_a_services_limit_and_loses_little_to_refusals() -> None:
    rate, asked, refused = drive(600.0, Throttle(1000.0, burst=50.0), uses_headers=False)
    assert 11.0 < rate < 24.0
    assert refused <= 0.01 * asked
    assert asked / 300.0 > 0.9 * 1000 / 60


def test_what_the_service_says_is_left_spares_the_refusals() -> None:
    rate, asked, refused = drive(600.0, Throttle(1000.0, burst=50.0), uses_headers=True)
    assert 14.0 < rate < 18.0
    assert refused <= 0.002 * asked
    assert asked / 300.0 > 0.92 * 1000 / 60


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
