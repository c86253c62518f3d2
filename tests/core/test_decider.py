"""Decisions about snapshots: given a history, when a snapshot, then events."""

from tests.support.observations import (
    CALL,
    FUNCTIONS,
    SERVED,
    START,
    USAGE,
    at,
    document,
    ended,
    history,
    seen,
    statuses,
    waiting,
)
from tracker.core.decider import decide, fold
from tracker.core.events import (
    RunActionRequired,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunIdentified,
    RunStatusChanged,
    RunTimesChanged,
)
from tracker.core.other_decisions import decide_submission
from tracker.core.snapshot import UNTOLD, ToolCall
from tracker.testing import given


def test_first_sight_of_a_queued_run() -> None:
    [created] = given().when(seen("queued", 0.2, metadata={"user": "ann"})).decided
    assert created == RunCreated(
        observed_at=at(0.2),
        asked_at=50_000,
        occurred_at=START,
        source="assistants",
        run_id="run_1",
        status="queued",
        metadata={"user": "ann"},
        configuration_digest=FUNCTIONS.digest,
    )


def test_a_run_that_our_own_call_created_is_no_older_than_the_call() -> None:
    [created] = given().when(seen("queued", 0.2, call="create")).decided
    assert isinstance(created, RunCreated)
    assert created.not_before == created.asked_moment == at(0.15)


def test_steps_and_submissions_tell_nothing_of_the_status() -> None:
    known = given().when(seen("in_progress", 2, started=1)).decided
    state = fold(known)
    others = decide_submission(state, ["call_9"], at(5))
    event = decide(fold([*known, *others]), waiting(9))[-1]
    assert isinstance(event, RunActionRequired)
    assert event.not_before == at(1.95)


def test_what_our_own_call_caused_came_after_it() -> None:
    known = given().when(seen("in_progress", 2, started=1), waiting(4)).decided
    submitted = decide_submission(fold(known), ["call_1"], at(20))
    answer = seen("queued", 20, started=1, call="submit")
    [event] = decide(fold([*known, *submitted]), answer)
    assert isinstance(event, RunStatusChanged)
    assert event.not_before == at(19.95)
    # Of calls that somebody else answered it tells nothing.
    [event] = decide(fold(known), answer)
    assert isinstance(event, RunStatusChanged)
    assert event.not_before == at(3.95)
    [event] = decide(fold(known[:2]), seen("cancelling", 9, started=1, call="cancel"))
    assert isinstance(event, RunStatusChanged)
    assert event.not_before == at(8.95)


def test_an_open_document_of_unknown_age_has_no_lower_bound_and_an_end_has() -> None:
    known = history(seen("in_progress", 2, started=1))
    [event] = known.when(document("completed", 9, started=1)).decided
    assert isinstance(event, RunCompleted)
    assert event.not_before == at(1.95)
    paused = document("requires_action", 9, started=1, tool_calls=(CALL,))
    [event] = history(seen("in_progress", 2, started=1)).when(paused).decided
    assert isinstance(event, RunActionRequired)
    assert event.not_before is None


def test_a_line_that_only_has_its_arrival_was_asked_for_after_the_one_before() -> None:
    first = seen("queued", 2, asked_at=at(2), asked_since=UNTOLD)
    second = seen("in_progress", 5, started=4, asked_at=at(5), asked_since=at(2))
    [created, started] = given().when(first, second).decided
    assert (created.asked_at, started.asked_at, started.not_before) == (None, 3_000_000, None)


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
            observed_at=at(5), not_before=at(1.95), previous="in_progress", tool_calls=(CALL,)
        )
    )


def test_other_calls_are_another_action_in_the_same_wait() -> None:
    other = ToolCall(id="call_2", name="price", arguments="{}")
    history(waiting(5)).when(waiting(6, calls=(other,))).then(
        RunActionRequired(
            observed_at=at(6), not_before=at(4.95), previous="requires_action", tool_calls=(other,)
        )
    )


def test_an_end_is_one_event_with_usage_and_stamp() -> None:
    history(seen("in_progress", 2, started=1)).when(ended("completed", 9, 8, usage=USAGE)).then(
        RunCompleted(
            observed_at=at(9),
            occurred_at=at(8),
            not_before=at(1.95),
            previous="in_progress",
            usage=USAGE,
        )
    )


def test_a_run_first_seen_at_its_end_gives_what_its_stamps_prove() -> None:
    decided = given().when(ended("completed", 9, 8)).decided
    assert statuses(decided) == [("in_progress", True), ("completed", False)]
    start = decided[1]
    assert isinstance(start, RunStatusChanged)
    assert (start.occurred_at, start.not_before) == (at(1), None)


def test_a_run_without_tools_that_wait_never_pauses() -> None:
    for configuration, never in ((SERVED, True), (FUNCTIONS, False), (None, False)):
        [created] = given().when(seen("queued", 1, configuration=configuration)).decided
        assert isinstance(created, RunCreated)
        assert created.never_pauses is never
    bare = given().when(seen("queued", 1, configuration=None))
    [told] = bare.when(seen("queued", 2, configuration=SERVED)).decided[1:]
    assert isinstance(told, RunIdentified)
    assert told.never_pauses


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
    assert (pause.not_before, pause.not_after, pause.tool_calls) == (at(1.95), None, ())


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
        observed_at=at(8), asked_at=50_000, previous_started_at=at(1), started_at=at(7)
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
