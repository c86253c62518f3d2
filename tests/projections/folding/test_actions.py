"""Actions of runs: each tool call and its waiting time."""

from projections.database.schema import run_actions, run_steps
from projections.row_types import ActionRow, StepRow, field_names
from tests.support.run_builder import (
    actions_of,
    changed,
    created,
    ended,
    range_text,
    second,
    started,
    values_of,
    waiting,
)
from tracker.core import events as e
from tracker.core.snapshot import ToolCall

KEY = "assistants:run_1"


def action_waits(*events: e.Event) -> list[str]:
    return [
        f"{it.seq} {it.tool_call_id} "
        + range_text(it.waited_seconds, it.at_least_seconds, it.at_most_seconds)
        for it in actions_of(KEY, events)
    ]


def test_rows_have_the_columns_of_the_tables() -> None:
    assert field_names(ActionRow) == tuple(it.name for it in run_actions.columns)
    assert field_names(StepRow) == tuple(it.name for it in run_steps.columns)


def test_a_call_waits_until_the_run_goes_on() -> None:
    before = (created(), started(2, stamp=1, since=1), waiting(10, since=8))
    (open_,) = actions_of(KEY, before)
    (done,) = actions_of(
        KEY, [*before, changed("queued", 16, since=15, previous="requires_action")]
    )

    assert values_of(open_)[:6] == (KEY, 1, "call_1", "function", "price", "{}")
    assert values_of(open_)[7:] == (None, None, None, None, None)
    assert second(8) < open_.required_at < second(10)
    assert second(14) < done.resolved_at < second(16)
    assert (done.waited_seconds, round(done.uncertainty_seconds, 1)) == (6.5, 1.5)


def test_a_start_does_not_tell_when_a_call_was_answered() -> None:
    assert action_waits(
        created(),
        waiting(10, since=8),
        started(20, stamp=19, since=12, previous="requires_action"),
    ) == ["1 call_1 ? (2.0-12.0)"]


def test_outputs_that_we_submitted_ourselves_end_the_wait() -> None:
    submitted = e.ToolOutputsSubmitted(observed_at=second(12), tool_call_ids=("call_1", "other"))

    assert action_waits(
        created(),
        waiting(10, since=8),
        submitted,
        ended(e.RunCompleted, 30, stamp=29, since=28, previous="requires_action"),
    ) == ["1 call_1 ? (0.0-3.8)"]


def test_other_calls_in_the_same_pause_answer_those_that_are_gone() -> None:
    calls = (ToolCall(id="call_2"), ToolCall(id="call_3"))

    assert action_waits(
        created(),
        waiting(10, since=8, tool_calls=(ToolCall(id="call_1"), calls[0])),
        waiting(14, since=12, previous="requires_action", tool_calls=calls),
        ended(e.RunCancelled, 20, stamp=19, since=18, previous="requires_action"),
    ) == ["1 call_1 ? (2.0-6.0)", "1 call_2 10.0 (8.0-12.0)", "1 call_3 6.0 (4.0-8.0)"]


def test_each_pause_has_a_number_and_one_that_nobody_saw_has_no_call() -> None:
    rows = actions_of(
        KEY,
        [
            created(),
            waiting(10, since=8),
            started(20, stamp=19, since=12, previous="requires_action"),
            waiting(40, since=25, inferred=True, tool_calls=()),
            started(40, stamp=31, since=25, previous="requires_action"),
        ],
    )

    assert [(it.seq, it.tool_call_id, it.name) for it in rows] == [
        (1, "call_1", "price"),
        (2, "", None),
    ]
    assert rows[1].waited_seconds is None
    assert rows[1].resolved_at < second(32)
