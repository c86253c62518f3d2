"""The timer wheel and the fair queue."""

from collections import Counter
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from tracker.polling.queues.fair_queue import FairQueue
from tracker.polling.queues.timer_wheel import TimerWheel
from tracker.polling.watched_run import WatchedRun


def make_run(number: int, thread: int | None = 0) -> WatchedRun:
    thread_id = None if thread is None else f"thread_{thread}"
    return WatchedRun(cast("Any", None), thread_id, f"run_{number}", f"a:run_{number}")


@given(st.lists(st.floats(0, 2_000), max_size=60), st.lists(st.floats(0, 300), max_size=60))
def test_every_run_is_taken_once_after_it_is_due_and_within_a_slot(
    dues: list[float], steps: list[float]
) -> None:
    wheel, now = TimerWheel(), 0.0
    runs = [make_run(number) for number in range(len(dues))]
    for watched, due in zip(runs, dues, strict=True):
        wheel.add(watched, due)
    taken: list[WatchedRun] = []
    for step in [*steps, 3_000.0]:
        now += step
        batch = wheel.pop_due(now)
        assert all(watched.due <= now for watched in batch)
        assert batch == sorted(batch, key=lambda watched: watched.due)
        taken += batch
        left = [watched for watched in runs if watched not in taken]
        assert all(watched.due > now - 0.02 for watched in left)
    assert len(taken) == len(runs)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20))
def test_a_run_that_was_moved_is_taken_at_its_new_time_only(dues: list[float]) -> None:
    wheel, watched = TimerWheel(), make_run(1)
    for due in dues:
        wheel.add(watched, due)
    assert wheel.pop_due(dues[-1] - 0.02) == []
    assert wheel.pop_due(200.0) == [watched]
    assert wheel.pop_due(400.0) == []


def test_one_that_is_added_for_the_past_is_taken_next() -> None:
    wheel, watched = TimerWheel(), make_run(1)
    assert wheel.pop_due(100.0) == []
    wheel.add(watched, 50.0)
    assert wheel.pop_due(100.02) == [watched]


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(0, 3)), max_size=60))
def test_everyone_in_line_gets_a_turn_and_each_thread_in_order(
    places: list[tuple[float, int]],
) -> None:
    queue = FairQueue()
    for number, (due, thread) in enumerate(places):
        watched = make_run(number, thread)
        watched.due = due
        queue.add(watched)
    taken: dict[str | None, list[float]] = {}
    now = 0.0
    for _ in places:
        now += 0.2
        found = next(queue.pop(now, 5.0, 1))
        taken.setdefault(found.thread_id, []).append(found.due)
    assert not list(queue.pop(now, 5.0, 1))
    assert sum(map(len, taken.values())) == len(places)
    assert all(dues == sorted(dues) for dues in taken.values())


def test_a_thread_with_many_due_leaves_the_others_three_quarters() -> None:
    queue, number = FairQueue(), 0
    for number in range(1000):
        queue.add(make_run(number, 0))
    for thread in range(1, 200):
        watched = make_run(number + thread, thread)
        watched.due = 1.0
        queue.add(watched)
    taken: Counter[str | None] = Counter()
    for tick in range(200):
        found = next(queue.pop(tick / 10, 10.0, 1))
        taken[found.thread_id] += 1
    assert 40 <= taken["thread_0"] <= 56


def test_runs_without_a_thread_go_by_the_moment_that_they_are_due() -> None:
    queue = FairQueue()
    for number in range(100):
        watched = make_run(number, None if number % 2 else 0)
        watched.due = number / 100
        queue.add(watched)
    taken = [next(queue.pop(tick / 10, 10.0, 1)) for tick in range(60)]
    without = [watched.due for watched in taken if watched.thread_id is None]
    assert without == [number / 100 for number in range(1, 2 * len(without), 2)]
    # The thread with many due gets its quarter, and they get all the rest.
    assert 40 <= len(without) <= 46


def test_one_that_left_the_line_is_passed_over() -> None:
    queue, gone, stays = FairQueue(), make_run(1), make_run(2)
    queue.add(gone)
    queue.add(stays)
    gone.queued = False
    assert list(queue.pop(0.0, 5.0, 1)) == [stays]
    assert not queue


def test_runs_in_line_are_counted_once_wherever_they_were_before() -> None:
    queue, first, second = FairQueue(), make_run(1), make_run(2)
    for watched in (first, second, make_run(3, thread=1)):
        queue.add(watched)
    assert queue.run_count == 3
    first.queued = False
    assert queue.run_count == 2
    queue.add(first)
    assert queue.run_count == 3
    assert list(queue.pop(0.0, 100.0, 1))
    assert queue.run_count == 2
