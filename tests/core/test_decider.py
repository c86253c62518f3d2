"""Decisions about snapshots: given a history, when a snapshot, then events."""

from tests.support.observations import (
    CALL,
    FUNCTIONS,
    SERVED,
    START,
    USAGE,
    at,
    ended,
    history,
    seen,
    statuses,
    waiting,
)
from tracker.core.events import (
    RunActionRequired,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunStatusChanged,
    RunTimesChanged,
)
from tracker.core.snapshot import ToolCall
from tracker.testing import given


def test_first_sight_of_a_queued_run() -> None:
    [created] = given().when(seen("queued", 0.2, metadata={"user": "ann"})).decided
    assert created == RunCreated(
        observed_at=at(0.2),
        occurred_at=START,
        source="assistants",
        run_id="run_1",
        status="queued",
        metadata={"user": "ann"},
        configuration_digest=FUNCTIONS.digest,
    )


def test_a_start_is_stamped_and_bounded() -> None:
    history(seen("queued", 0.2)).when(
        seen("in_progress", 3, started=1, unchanged_until=at(0.9))
    ).then(
        RunStatusChanged(
            observed_at=at(3),
            occurred_at=at(1),
            not_before=at(0.9),
            previous="queued",
            status="in_progress",
        )
    )


def test_an_action_has_no_stamp_and_is_bounded_by_the_looks() -> None:
    history(seen("in_progress", 2, started=1)).when(waiting(5)).then(
        RunActionRequired(
            observed_at=at(5), not_before=at(2), previous="in_progress", tool_calls=(CALL,)
        )
    )


def test_other_calls_are_another_action_in_the_same_wait() -> None:
    other = ToolCall(id="call_2", name="price", arguments="{}")
    decided = history(waiting(5)).when(waiting(6, calls=(other,))).decided
    assert decided == [
        RunActionRequired(
            observed_at=at(6), not_before=at(5), previous="requires_action", tool_calls=(other,)
        )
    ]


def test_an_end_is_one_event_with_usage_and_stamp() -> None:
    history(seen("in_progress", 2, started=1)).when(ended("completed", 9, 8, usage=USAGE)).then(
        RunCompleted(
            observed_at=at(9),
            occurred_at=at(8),
            not_before=at(2),
            previous="in_progress",
            usage=USAGE,
        )
    )


def test_a_run_first_seen_at_its_end_gives_what_its_stamps_prove() -> None:
    decided = given().when(ended("completed", 9, 8)).decided
    assert statuses(decided) == [("in_progress", True), ("completed", False)]
    start = decided[1]
    assert isinstance(start, RunStatusChanged)
    # Its tools may have stopped it before this start, so the queue is bounded, not known.
    assert (start.occurred_at, start.not_before) == (at(1), START)


def test_a_start_inferred_without_tools_that_wait_is_exact() -> None:
    start = given().when(ended("completed", 9, 8, configuration=SERVED)).decided[1]
    assert isinstance(start, RunStatusChanged)
    assert start.not_before is None


def test_a_run_cancelled_in_its_queue_never_started() -> None:
    given().when(ended("cancelled", 3, 2, started=None)).then(RunCreated, RunCancelled)


def test_a_start_that_moved_proves_a_pause() -> None:
    decided = (
        history(seen("in_progress", 2, started=1))
        .when(ended("completed", 30, 29, started=20))
        .decided
    )
    assert statuses(decided) == [
        ("requires_action", True),
        ("in_progress", True),
        ("completed", False),
    ]
    pause = decided[0]
    assert isinstance(pause, RunActionRequired)
    assert (pause.not_before, pause.not_after, pause.tool_calls) == (at(2), at(20), ())


def test_a_queue_with_a_start_proves_a_pause() -> None:
    decided = history(seen("in_progress", 2, started=1)).when(seen("queued", 9, started=1)).decided
    assert statuses(decided) == [("requires_action", True), ("queued", False)]


def test_a_whole_round_of_tools_seen_state_by_state() -> None:
    decided = (
        given()
        .when(
            seen("queued", 0.1),
            seen("in_progress", 2, started=1),
            waiting(4),
            seen("queued", 6, started=1),
            seen("in_progress", 8, started=7),
            ended("completed", 10, 9, started=7),
        )
        .decided
    )
    assert statuses(decided) == [
        ("in_progress", False),
        ("requires_action", False),
        ("queued", False),
        ("in_progress", False),
        ("completed", False),
    ]


def test_a_run_that_resumes_under_its_old_start_pauses_once() -> None:
    decided = (
        history(waiting(4))
        .when(seen("in_progress", 6, started=1), seen("in_progress", 8, started=7))
        .decided
    )
    assert statuses(decided) == [("in_progress", False)]
    assert decided[-1] == RunTimesChanged(
        observed_at=at(8), previous_started_at=at(1), started_at=at(7)
    )


def test_a_service_without_stamps_still_leaves_its_actions() -> None:
    decided = (
        given()
        .when(
            seen("queued", 1),
            seen("in_progress", 2),
            waiting(3, started=None),
            seen("queued", 4),
            seen("in_progress", 5),
            seen("completed", 6),
        )
        .decided
    )
    assert [status for status, _ in statuses(decided)] == [
        "in_progress",
        "requires_action",
        "queued",
        "in_progress",
        "completed",
    ]
