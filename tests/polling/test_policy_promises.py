"""Promises of the polling policy, checked with the whole poller on virtual time."""

import pytest

from tests.benchmarks.polled_service import Traffic
from tests.benchmarks.polling_policy import simulate

pytestmark = pytest.mark.seeds


def test_a_hundred_runs_within_a_thousand_requests_a_minute() -> None:
    outcome = simulate(Traffic(100), seed=0, measured=200.0)
    assert len(outcome.delays) > 400
    assert outcome.p95 <= 4.5
    assert outcome.refused <= 0.01 * outcome.requests
    assert outcome.missed + outcome.open <= 0.01 * len(outcome.delays)


def test_three_times_as_many_find_every_event_in_the_end() -> None:
    outcome = simulate(Traffic(300, warm=100.0, after=700.0), seed=0, measured=60.0)
    assert len(outcome.delays) > 400
    assert outcome.p95 <= 18.0
    assert outcome.refused <= 0.01 * outcome.requests
    assert (outcome.missed, outcome.open) == (0, 0)


def test_without_a_limit_it_is_soon_enough_for_few_requests() -> None:
    outcome = simulate(Traffic(60, per_minute=None), seed=0, measured=100.0)
    assert sum(outcome.delays) / len(outcome.delays) <= 0.5
    # Half of what a look each second takes, the steps included; the benchmark says how many.
    assert outcome.requests <= 22.5 * outcome.ended
