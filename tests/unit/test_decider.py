"""Sentences about the decider: given a history, when a snapshot, then events."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tracker.core.decider import decide, fold
from tracker.core.events import (
    Event,
    RunActionRequired,
    RunAnomalyObserved,
    RunCancelled,
    RunCompleted,
    RunCreated,
    RunEnded,
    RunExpired,
    RunMetadataChanged,
    RunReappeared,
    RunStatusChanged,
    RunStepRecorded,
    RunTimesChanged,
    RunUsageReported,
    RunVanished,
    ToolOutputsSubmitted,
)
from tracker.core.facts import decide_steps, decide_submitted, decide_vanished
from tracker.core.snapshot import Configuration, RunSnapshot, StepSnapshot, ToolCall
from tracker.core.usage import Usage
from tracker.testing import Given, given

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
CALL = ToolCall(id="call_1", name="price", arguments="{}")
FUNCTIONS = Configuration(tools=({"type": "function", "function": {"name": "price"}},))
SERVED = Configuration(tools=({"type": "file_search"},))
USAGE = Usage(prompt_tokens=10, completion_tokens=5, total_tokens=15)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def seen(status: str, second: float, *, started: float | None = None, **more: Any) -> RunSnapshot:
    """A poll that was sent and answered around a second after the run was created."""
    fields: dict[str, Any] = {
        "source": "assistants",
        "run_id": "run_1",
        "observed_at": at(second),
        "asked_at": at(second - 0.05),
        "created_at": START,
        "started_at": at(started) if started is not None else None,
        "configuration": FUNCTIONS,
        "status": status,
    }
    return RunSnapshot(**(fields | more))


def document(status: str, second: float, **more: Any) -> RunSnapshot:
    """The same from a file of unknown age."""
    return seen(status, second, **more).model_copy(update={"asked_at": None})


def waiting(
    second: float, *, started: float | None = 1, calls: tuple[ToolCall, ...] = (CALL,)
) -> RunSnapshot:
    return seen("requires_action", second, started=started, tool_calls=calls)


def ended(
    status: str, second: float, end: float, started: float | None = 1, **more: Any
) -> RunSnapshot:
    return seen(status, second, started=started, ended_at=at(end), **more)


def history(*snapshots: RunSnapshot) -> Given:
    """A history made by observing."""
    return given(*given().when(*snapshots).decided)


def statuses(events: list[Event]) -> list[tuple[str, bool]]:
    changes = []
    for event in events:
        if isinstance(event, RunStatusChanged):
            changes.append((event.status, event.inferred))
        elif isinstance(event, RunActionRequired):
            changes.append(("requires_action", event.inferred))
        elif isinstance(event, RunEnded):
            changes.append((event.status, event.inferred))
    return changes


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


@pytest.mark.parametrize(
    "old",
    [
        document("queued", 50),
        document("in_progress", 50, started=1),
        document("requires_action", 50, started=1, tool_calls=(CALL,)),
        document("queued", 50, started=1),
        document("in_progress", 50, started=7),
    ],
)
def test_a_document_of_the_past_changes_nothing(old: RunSnapshot) -> None:
    passed = (
        seen("queued", 0.1),
        seen("in_progress", 2, started=1),
        waiting(4),
        seen("queued", 6, started=1),
        seen("in_progress", 8, started=7),
    )
    history(*passed).when(old).then_nothing()
    history(*passed, ended("completed", 10, 9, started=7)).when(old).then_nothing()


def test_a_fresh_look_that_went_back_is_an_anomaly_once() -> None:
    history(seen("in_progress", 2, started=1)).when(seen("queued", 3), seen("queued", 4)).then(
        RunAnomalyObserved(
            observed_at=at(3), kind="status_went_back", status="queued", known_status="in_progress"
        )
    )


def test_an_end_that_changes_is_an_anomaly_and_the_first_stays() -> None:
    first = ended("completed", 9, 8)
    decided = history(first).when(ended("failed", 12, 11), ended("failed", 13, 11)).decided
    assert [type(event) for event in decided] == [RunAnomalyObserved]


def test_a_run_that_is_being_cancelled_does_not_work_again() -> None:
    history(seen("cancelling", 3, started=1)).when(
        document("in_progress", 4, started=1), document("in_progress", 5, started=4)
    ).then_nothing()


def test_an_unknown_status_is_kept_and_is_no_end() -> None:
    decided = (
        history(seen("in_progress", 2, started=1))
        .when(
            seen("paused", 3, started=1),
            seen("in_progress", 4, started=1),
            seen("paused", 5, started=1),
        )
        .decided
    )
    assert [status for status, _ in statuses(decided)] == ["paused", "in_progress", "paused"]
    assert not fold(decided, fold(given().when(seen("queued", 1)).decided)).is_ended


def test_a_late_usage_is_a_correction_and_an_old_one_is_not() -> None:
    more = Usage(prompt_tokens=12, completion_tokens=5, total_tokens=17)
    end = ended("completed", 9, 8, usage=USAGE)
    late = ended("completed", 99, 8, usage=more)
    history(end).when(late, late, end, ended("completed", 100, 8)).then(
        RunUsageReported(observed_at=at(99), previous=USAGE, usage=more)
    )


def test_no_usage_is_not_zero() -> None:
    zero = Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0)
    history(ended("cancelled", 9, 8)).when(ended("cancelled", 10, 8, usage=zero)).then(
        RunUsageReported(observed_at=at(10), previous=None, usage=zero)
    )


def test_metadata_and_expiry_are_followed() -> None:
    queued = seen("queued", 1, expires_at=at(600), metadata={"a": "1"})
    history(queued).when(
        seen("queued", 2, expires_at=at(700), metadata={"a": "2"}),
        seen("queued", 3, expires_at=at(600), metadata={"a": "1"}),
        document("queued", 4, expires_at=at(700), metadata={"a": "2"}),
    ).then(RunTimesChanged, RunMetadataChanged, RunTimesChanged, RunMetadataChanged)


def test_an_expiry_that_is_gone_at_the_end_is_no_change() -> None:
    history(seen("in_progress", 2, started=1, expires_at=at(600))).when(
        ended("expired", 601, 600)
    ).then(RunExpired)


def test_a_run_may_vanish_and_reappear() -> None:
    known = given().when(seen("queued", 1)).decided
    vanished = decide_vanished(fold(known), at(20))
    assert vanished == [RunVanished(observed_at=at(20))]
    gone = fold([*known, *vanished])
    assert decide_vanished(gone, at(30)) == []
    assert decide(gone, document("queued", 40)) == []
    assert decide(gone, seen("queued", 40)) == [RunReappeared(observed_at=at(40))]


def test_an_ended_run_does_not_vanish() -> None:
    assert decide_vanished(fold(given().when(ended("completed", 9, 8)).decided), at(20)) == []


def test_submitted_outputs_are_recorded_once() -> None:
    known = given().when(waiting(4)).decided
    submitted = decide_submitted(fold(known), ["call_1"], at(5))
    assert submitted == [ToolOutputsSubmitted(observed_at=at(5), tool_call_ids=("call_1",))]
    assert decide_submitted(fold([*known, *submitted]), ["call_1"], at(6)) == []


def test_steps_are_recorded_once_when_they_ended() -> None:
    known = given().when(seen("in_progress", 4, started=1)).decided
    steps = [
        StepSnapshot(
            step_id="step_2", type="message_creation", status="in_progress", created_at=at(4)
        ),
        StepSnapshot(
            step_id="step_1",
            type="tool_calls",
            status="completed",
            created_at=at(2),
            ended_at=at(3),
            tools=("price",),
            usage=USAGE,
        ),
    ]
    recorded = decide_steps(fold(known), steps, at(5))
    assert [type(event) for event in recorded] == [RunStepRecorded]
    assert decide_steps(fold([*known, *recorded]), steps, at(6)) == []


def test_a_document_of_unknown_age_is_bounded_by_stamps_alone() -> None:
    history(seen("in_progress", 2, started=1)).when(
        document("requires_action", 9000, started=1, tool_calls=(CALL,), not_after=at(20))
    ).then(
        RunActionRequired(
            observed_at=at(9000),
            not_before=at(1),
            not_after=at(20),
            previous="in_progress",
            tool_calls=(CALL,),
        )
    )
