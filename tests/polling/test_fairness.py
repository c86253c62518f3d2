"""Fairness and use of limits by the whole poller on virtual time; the benchmark has all figures."""

from itertools import product

import pytest

from tests.benchmarks.fairness import beside_refused, restart, use_of, without_limit


def test_a_small_limit_is_used_well() -> None:
    use = use_of(90.0, "bucket", says_when=True, minutes=2.0)
    assert use.used >= 0.85
    assert use.refused <= 0.02


@pytest.mark.parametrize("by", ["run", "thread", "assistant"])
def test_one_that_is_refused_leaves_the_others_their_looks(by: str) -> None:
    beside = beside_refused(20, by, seconds=20.0)
    # Without a refused one they get 8 to 10 looks a second in their first 20 seconds.
    assert beside.looks >= 5.0
    assert beside.unseen == 0


def test_a_service_without_a_limit_is_found_out_in_seconds() -> None:
    outcome = without_limit(100, seconds=18.0, since=8.0)
    assert outcome.known == outcome.ends
    assert outcome.p95 <= 2.0
    assert outcome.all_seen <= 6.0


def test_a_restart_sees_all_open_runs_at_the_rate_of_the_service() -> None:
    after = restart(400)
    assert after.first <= 0.3
    assert after.all <= after.aim


@pytest.mark.seeds
@pytest.mark.parametrize(
    ("per_minute", "kind", "says_when"),
    [
        *product((90.0, 500.0), ("bucket", "windows"), (True, False)),
        (5_000.0, "bucket", True),
        (5_000.0, "windows", False),
    ],
)
def test_every_limit_is_used_well(per_minute: float, kind: str, *, says_when: bool) -> None:
    use = use_of(per_minute, kind, says_when=says_when)
    assert use.used >= 0.85
    assert use.refused <= 0.02


@pytest.mark.seeds
def test_refused_runs_among_five_hundred_leave_none_unseen() -> None:
    alone = beside_refused(500, "nobody")
    for by in ("run", "thread", "assistant"):
        for says_when in (True, False):
            beside = beside_refused(500, by, says_when=says_when)
            assert beside.unseen == 0
            assert beside.looks >= 0.5 * alone.looks


@pytest.mark.seeds
def test_three_workers_share_one_limit() -> None:
    use = use_of(60.0, "bucket", says_when=True, workers=3)
    assert use.used >= 0.8
    assert use.refused <= 0.05
