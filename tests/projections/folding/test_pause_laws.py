"""Steps and submissions say what they prove of a run's pauses, and no more."""

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.reference_fold import histories
from tests.support.run_builder import (
    actions_of,
    changed,
    created,
    ended,
    history_of,
    phases_of,
    range_text,
    rows_after,
    rows_of,
    second,
    seen,
    started,
    waiting,
)
from tracker.core import events as e
from tracker.core.snapshot import ToolCall
from tracker.core.status import REQUIRES_ACTION

KEY = "assistants:run_1"


def step(
    begun: float, over: float, number: int = 1, status: str = "completed", *ids: str
) -> e.RunStepRecorded:
    return e.RunStepRecorded(
        observed_at=seen(900),
        step_id=f"step_{number}",
        type="tool_calls",
        status=status,
        tools=("price",),
        tool_call_ids=ids,
        created_at=second(begun),
        ended_at=second(over),
    )


def waits(*events: e.Event) -> list[str]:
    return [
        f"{it.seq} {it.tool_call_id} "
        + range_text(it.waited_seconds, it.at_least_seconds, it.at_most_seconds)
        for it in actions_of(KEY, events)
    ]


WORKING = (created(), started(2, stamp=1, since=1))


def test_a_tool_step_of_a_run_that_works_leaves_it_working() -> None:
    run, phases = rows_after(*WORKING, step(9, 15))

    assert (run.status, run.outcome) == ("in_progress", None)
    # Nobody saw when it went on.
    assert phases_of(phases) == [
        "queued 1.0 (0.0-2.0) server",
        "in_progress 8.0 (7.0-9.0) server",
        "requires_action 6.0 (5.0-7.0) server",
        "queued ? (0.0-?) inferred",
        "in_progress ? (?-?) inferred",
    ]
    assert waits(*WORKING, step(9, 15)) == ["1  6.0 (5.0-7.0)"]


def test_several_steps_of_a_run_that_is_queued_as_far_as_is_known() -> None:
    run, phases = rows_after(created(), step(5, 9), step(12, 20, 2))

    assert run.status == "queued"
    assert [it.status for it in phases] == [*["unknown", "requires_action"] * 2, "queued"]
    assert waits(created(), step(5, 9), step(12, 20, 2)) == [
        "1  4.0 (3.0-5.0)",
        "2  8.0 (7.0-9.0)",
    ]


def test_a_step_of_other_calls_does_not_lengthen_the_pause_that_lasts() -> None:
    other = waiting(30, since=28, tool_calls=(ToolCall(id="call_2"),))
    events = (*WORKING, other, step(9, 15, 1, "completed", "call_1"))
    run, phases = rows_after(*events)

    assert (run.status, phases[-1].left_at) == ("requires_action", None)
    assert second(28) < phases[-1].entered_at < second(31)
    assert waits(*events) == ["1  6.0 (5.0-7.0)", "2 call_2 ? (?-?)"]


def test_a_step_bounds_a_pause_that_polls_hardly_saw() -> None:
    events = (
        *WORKING,
        waiting(104, since=3),
        changed("queued", 118, since=104, previous="requires_action"),
        started(120, stamp=119, since=118),
        ended(e.RunCompleted, 131, stamp=129, since=128),
    )

    assert waits(*events) == ["1 call_1 ? (0.0-115.0)"]
    assert waits(*events, step(10, 110)) == ["1 call_1 100.0 (99.0-101.0)"]


def test_calls_of_two_pauses_that_polls_took_for_one() -> None:
    events = (
        *WORKING,
        waiting(10, since=8),
        waiting(20, since=19, previous="requires_action", tool_calls=(ToolCall(id="call_2"),)),
        started(26, stamp=25, since=20, previous="requires_action"),
        ended(e.RunCompleted, 31, stamp=29, since=28),
        step(9, 15, 1, "completed", "call_1"),
        step(18, 22, 2, "completed", "call_2"),
    )

    assert waits(*events) == ["1 call_1 6.0 (5.0-7.0)", "2 call_2 4.0 (3.0-5.0)"]


def test_outputs_that_we_submitted_end_the_pause_of_the_run_too() -> None:
    submitted = e.ToolOutputsSubmitted(observed_at=second(12), tool_call_ids=("call_1",))
    before = (*WORKING, waiting(10, since=8), submitted)
    run, phases = rows_after(
        *before, ended(e.RunCompleted, 30, stamp=29, since=28, previous="requires_action")
    )
    still, _ = rows_after(*before)
    other = waiting(14, since=12, previous="requires_action", tool_calls=(ToolCall(id="call_2"),))

    # When it was sent is not known from this alone.
    assert phases_of(phases)[2:] == [
        "requires_action ? (0.0-3.8) inferred",
        "unknown 19.6 (16.2-22.0) unknown",
    ]
    assert run.action_seconds is None
    # The service has not shown yet that it went on.
    assert (still.status, still.action_seconds) == ("requires_action", None)
    assert [it.split()[:2] for it in waits(*before, other)] == [["1", "call_1"], ["2", "call_2"]]


def test_our_own_submission_bounds_the_pause_from_both_sides() -> None:
    submitted = e.ToolOutputsSubmitted(observed_at=seen(12), tool_call_ids=("call_1",))
    # Its answer shows the run queued: so it was, since the outputs were sent.
    queued = changed("queued", 12, since=11.9, previous="requires_action")
    assert waits(*WORKING, waiting(10, since=9.9), submitted, queued) == ["1 call_1 2.0 (1.9-2.1)"]


def test_calls_that_are_answered_one_by_one_leave_the_run_waiting() -> None:
    calls = (ToolCall(id="call_1"), ToolCall(id="call_2"))
    events = (
        *WORKING,
        waiting(10, since=8, tool_calls=calls),
        e.ToolOutputsSubmitted(observed_at=second(12), tool_call_ids=("call_1",)),
        changed("queued", 16, since=15, previous="requires_action"),
    )

    assert waits(*events) == ["1 call_1 ? (0.0-3.8)", "1 call_2 6.5 (5.0-8.0)"]
    assert rows_after(*events)[0].action_seconds == 6.5


_steps = st.builds(
    step,
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 3),
    st.sampled_from(["completed", "completed", "failed"]),
    st.sampled_from(["", "call_1", "call_2"]),
).map(lambda it: it.model_copy(update={"ended_at": max(it.created_at, it.ended_at)}))


def merge(intervals: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Returns the union of intervals, without those of no length."""
    merged: list[tuple[float, float]] = []
    for begin, end in sorted(it for it in intervals if it[0] < it[1]):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def last_status(events: list[e.Event]) -> str:
    status = "queued"
    for event in events:
        if isinstance(event, e.RunActionRequired):
            status = REQUIRES_ACTION
        elif isinstance(event, e.RunStatusChanged | e.RunEnded):
            status = event.status
    return status


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_the_laws_of_pauses(data: st.DataObject) -> None:
    streams = data.draw(histories())
    for key, events in streams.items():
        if not events:
            continue
        for event in data.draw(st.lists(_steps, max_size=3)):
            events.insert(data.draw(st.integers(1, len(events))), event)
        history = history_of(key, events)
        _, phases = rows_of(history)
        last = last_status(events)
        open_statuses = [it.status for it in phases if it.left_at is None]
        assert open_statuses == ([] if last in e.RUN_ENDS else [last])
        if any(it.status == "unknown" for it in phases):
            # A pause may lie within what nothing divides.
            continue
        until = max(it.left_at or it.entered_at for it in phases).timestamp() + 9e9
        actions = actions_of(key, events)
        paused = [
            (it.entered_at.timestamp(), it.left_at.timestamp() if it.left_at else until)
            for it in phases
            if it.status == REQUIRES_ACTION
        ]
        waited = [
            (it.required_at.timestamp(), it.resolved_at.timestamp() if it.resolved_at else until)
            for it in actions
        ]
        assert len({it.seq for it in actions}) == len(paused)
        if last == REQUIRES_ACTION and history.waits[-1].submitted_at is not None:
            # The service has not shown yet that the run went on.
            paused, waited = paused[:-1], waited[: -sum(it.seq == len(paused) for it in actions)]
        assert merge(waited) == merge(paused)
