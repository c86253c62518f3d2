"""Corrections of a run's row other than its status, and events that are no history."""

from typing import Any

import pytest

from projections.folding.run_row import RunTrace
from projections.folding.status_trace import fold
from tests.support.run_builder import created, ended, rows_after, run_row, second, seen, started
from tracker.core import events as e
from tracker.core.snapshot import RunError
from tracker.core.usage import Usage
from tracker.event_store.store import RecordedEvent


def test_corrections_change_the_row_and_no_phase() -> None:
    before = (
        created(),
        started(2, stamp=1, since=1),
        e.RunTimesChanged(observed_at=seen(3), started_at=second(2), expires_at=second(900)),
        ended(e.RunFailed, 9, 8, since=7, error=RunError(code="x", message="no\x00"), reason="r"),
    )
    run, phases = rows_after(*before)
    corrected, same_phases = rows_after(
        *before,
        e.RunUsageReported(observed_at=seen(50), usage=Usage(prompt_tokens=7, total_tokens=7)),
        e.RunMetadataChanged(observed_at=seen(60), previous={"user": "ann"}, metadata={"a": 1}),
        e.ToolOutputsSubmitted(observed_at=seen(61), tool_call_ids=("call_1",)),
        e.RunStepRecorded(observed_at=seen(62), step_id="step_1", type="x", status="completed"),
        e.RunAnomalyObserved(
            observed_at=seen(63), kind="end_changed", status="completed", known_status="failed"
        ),
    )

    assert (run.started_at, run.expires_at) == (second(2), second(900))
    assert (run.error_code, run.error_message, run.incomplete_reason) == ("x", "no\ufffd", "r")
    assert run.prompt_tokens is None
    assert (corrected.prompt_tokens, corrected.completion_tokens) == (7, None)
    assert (corrected.metadata, corrected.last_changed_at) == ({"a": 1}, seen(63))
    assert corrected.version == run.version + 5
    assert same_phases == phases


def test_a_run_that_vanished_has_its_status_again_when_it_is_seen_again() -> None:
    before = (created(), started(2, stamp=1, since=1), e.RunVanished(observed_at=seen(5)))
    gone, phases = rows_after(*before)
    back, same_phases = rows_after(*before, e.RunReappeared(observed_at=seen(6)))
    done, _ = rows_after(*before, ended(e.RunCompleted, 9, stamp=8, since=2))

    assert (gone.status, gone.outcome) == ("vanished", None)
    assert (back.status, done.status) == ("in_progress", "completed")
    assert phases == same_phases
    assert phases[-1].left_at is None


def test_names_of_any_length_fit_into_an_index() -> None:
    name = "\x00" + "x" * 100_000
    run, _ = rows_after(created(thread_id=name))
    other, _ = rows_after(created(thread_id=name + "y"))
    emoji, _ = rows_after(created(thread_id="\U0001f680" * 255))

    assert run.thread_id is not None
    assert run.thread_id.startswith("\ufffd" + "x" * 255)
    assert len(run.thread_id.encode()) == 512
    assert other.thread_id != run.thread_id
    assert emoji.thread_id is not None
    assert len(emoji.thread_id.encode()) <= 512


def test_events_known_already_change_nothing() -> None:
    history = RunTrace("assistants:run_1")
    recorded = RecordedEvent(1, "assistants:run_1", 1, created())
    fold(history, recorded)
    row = run_row(history)
    fold(history, recorded)

    assert run_row(history) == row


@pytest.mark.parametrize(
    ("events", "error", "words"),
    [
        ([(1, started(2, 1, 1))], ValueError, "begins with run.status_changed"),
        ([(1, created()), (3, started(2, 1, 1))], ValueError, "version 2 .* is missing"),
        ([(1, created()), (2, created())], TypeError, "RunCreated"),
        (
            [(1, created()), (2, ended(e.RunFailed, 3, 3, 2)), (3, started(4, 4, 3))],
            ValueError,
            "already ended as failed",
        ),
    ],
)
def test_what_is_no_history_is_refused(
    events: list[tuple[int, e.Event]], error: type[Exception], words: str
) -> None:
    history = RunTrace("assistants:run_1")
    *before, last = [RecordedEvent(v, "assistants:run_1", v, event) for v, event in events]
    for recorded in before:
        fold(history, recorded)
    with pytest.raises(error, match=words):
        fold(history, last)


def test_each_event_of_a_run_has_its_case() -> None:
    examples: dict[type[e.Event], dict[str, Any]] = {
        e.RunStatusChanged: {"previous": "queued", "status": "x"},
        e.RunActionRequired: {"previous": "queued"},
        **{end: {"previous": "queued"} for end in e.RUN_ENDS.values()},
        e.ToolOutputsSubmitted: {"tool_call_ids": ()},
        e.RunStepRecorded: {"step_id": "s", "type": "t", "status": "completed"},
        e.RunIdentified: {},
        e.RunUsageReported: {"usage": Usage()},
        e.ThreadUsageReported: {"usage": Usage()},
        e.EnvironmentReported: {"environment_id": "env", "status": "failed"},
        e.RunMetadataChanged: {"previous": {}, "metadata": {}},
        e.RunTimesChanged: {},
        e.RunVanished: {},
        e.RunReappeared: {},
        e.RunAnomalyObserved: {"kind": "k", "status": "x", "known_status": "y"},
    }
    assert {*examples, e.RunCreated, e.ConfigurationRecorded} == set(e.EVENTS.values())
    for kind, fields in examples.items():
        run, _ = rows_after(created(), kind(observed_at=seen(2), **fields))
        assert run.version == 2
