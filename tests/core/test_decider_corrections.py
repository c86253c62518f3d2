"""Decisions about old answers, corrections, and facts that no poll has shown."""

import pytest

from tests.support.observations import (
    CALL,
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
    RunAnomalyObserved,
    RunExpired,
    RunMetadataChanged,
    RunReappeared,
    RunStepRecorded,
    RunTimesChanged,
    RunUsageReported,
    RunVanished,
    ToolOutputsSubmitted,
)
from tracker.core.other_decisions import decide_disappearance, decide_steps, decide_submission
from tracker.core.snapshot import RunSnapshot, StepSnapshot
from tracker.core.usage import Usage
from tracker.testing import given


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
    vanished = decide_disappearance(fold(known), at(20))
    assert vanished == [RunVanished(observed_at=at(20))]
    gone = fold([*known, *vanished])
    assert decide_disappearance(gone, at(30)) == []
    assert decide(gone, document("queued", 40)) == []
    assert decide(gone, seen("queued", 40)) == [RunReappeared(observed_at=at(40), asked_at=50_000)]


def test_an_ended_run_does_not_vanish() -> None:
    assert decide_disappearance(fold(given().when(ended("completed", 9, 8)).decided), at(20)) == []


def test_submitted_outputs_are_recorded_once() -> None:
    known = given().when(waiting(4)).decided
    submitted = decide_submission(fold(known), ["call_1"], at(5))
    assert submitted == [ToolOutputsSubmitted(observed_at=at(5), tool_call_ids=("call_1",))]
    assert decide_submission(fold([*known, *submitted]), ["call_1"], at(6)) == []


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


def test_an_open_document_of_unknown_age_has_no_lower_bound() -> None:
    history(seen("in_progress", 2, started=1)).when(
        document("requires_action", 9000, started=1, tool_calls=(CALL,), not_after=at(20))
    ).then(
        RunActionRequired(
            observed_at=at(9000),
            not_after=at(20),
            previous="in_progress",
            tool_calls=(CALL,),
        )
    )
