"""Background requests: the longest due first, within their share of the rate."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.polling.queues.background_queue import BackgroundQueue, BackgroundRequest

NO_SOURCE = cast("Any", None)


def request(key: str) -> BackgroundRequest:
    return BackgroundRequest(NO_SOURCE, key)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.floats(0, 50)), max_size=40),
    st.lists(st.floats(0.01, 20), max_size=20),
)
def test_each_is_taken_once_when_it_is_due_by_the_last_that_was_said(
    added: list[tuple[int, float]], steps: list[float]
) -> None:
    queue: BackgroundQueue[BackgroundRequest] = BackgroundQueue(max_share=1.0, reserved_share=0.25)
    dues: dict[str, float] = {}
    for number, due in added:
        known = queue.find(str(number))
        queue.add(known or request(str(number)), due)
        dues[str(number)] = due
    assert len(queue) == len(dues)
    now, taken = 0.0, []
    for step in [*steps, 100.0]:
        now += step
        batch = []
        while (found := queue.pop_due(now, 1000.0)) is not None:
            batch.append(found)
        assert all(found.due <= now for found in batch)
        assert [found.due for found in batch] == sorted(found.due for found in batch)
        taken += batch
    assert sorted(found.key for found in taken) == sorted(dues)
    assert all(found.due == dues[found.key] for found in taken)
    for found in taken:
        queue.remove(found)
    assert len(queue) == 0


@pytest.mark.parametrize(("share", "rate"), [(1.0, 5.0), (0.1, 50.0), (0.1, 5.0)])
def test_they_take_no_more_than_their_share(share: float, rate: float) -> None:
    queue: BackgroundQueue[BackgroundRequest] = BackgroundQueue(
        max_share=share, reserved_share=0.25
    )
    for number in range(2000):
        queue.add(request(str(number)), 0.0)
    taken = 0
    for tick in range(600):
        while queue.pop_due(tick / 10, rate) is not None:
            taken += 1
    assert 60 * share * rate <= taken <= 60 * share * rate + 2


def test_they_claim_more_the_longer_they_wait_and_nothing_while_held_or_not_due() -> None:
    steps: BackgroundQueue[BackgroundRequest] = BackgroundQueue(max_share=1.0, reserved_share=0.25)
    assert steps.reserved_part(0.0) == 0.0
    steps.add(request("run_1"), 5.0)
    assert steps.reserved_part(4.9) == 0.0
    assert steps.reserved_part(5.0) == 0.0
    assert steps.reserved_part(15.0) == 0.125
    assert steps.reserved_part(25.0) == steps.reserved_part(1000.0) == 0.25
    steps.held_until = 90.0
    assert steps.reserved_part(89.0) == 0.0
    assert steps.pop_due(89.0, 5.0) is None
    assert steps.pop_due(90.0, 5.0) is not None
    assert steps.reserved_part(90.0) == 0.0
    assert len(steps) == 1
    threads: BackgroundQueue[BackgroundRequest] = BackgroundQueue(max_share=0.1, reserved_share=0.1)
    threads.add(request("thread_1"), 0.0)
    assert threads.reserved_part(60.0) == 0.1


@pytest.mark.parametrize("reserved", [0.02, 0.1])
def test_before_polls_they_take_what_they_claim(reserved: float) -> None:
    queue: BackgroundQueue[BackgroundRequest] = BackgroundQueue(
        max_share=1.0, reserved_share=reserved
    )
    for number in range(5000):
        queue.add(request(str(number)), 0.0)
    assert queue.pop_due(0.0, 50.0, before_polls=True) is None
    taken = []
    for tick in range(6000):
        if queue.pop_due(tick / 10, 50.0, before_polls=True) is not None:
            taken.append(tick / 10)
    # From a minute on, whole; before that, less.
    late = [moment for moment in taken if moment >= 60]
    assert len(late) == pytest.approx(540 * 50 * reserved, rel=0.15)
    assert 0 < len(taken) - len(late) < 60 * 50 * reserved
