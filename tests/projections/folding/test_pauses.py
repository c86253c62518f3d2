"""Pauses made exact by the steps of a run, however few of its states were seen."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from projections.row_types import PhaseRow, RunRow
from tests.support.corpus import lines, needs_corpus
from tests.support.run_builder import (
    changed,
    created,
    ended,
    kinds_of,
    phases_of,
    rows_after,
    second,
    seen,
    started,
    waiting,
)
from tracker.core import events as e
from tracker.core.decider import decide
from tracker.core.decider import fold as fold_state
from tracker.core.other_decisions import decide_steps
from tracker.core.state import initial_state
from tracker.sources.assistants.snapshots import run_snapshot, step_snapshot


def step(begun: float, over: float, number: int = 1, **more: Any) -> e.RunStepRecorded:
    return e.RunStepRecorded(
        **{
            "observed_at": seen(900),
            "step_id": f"step_{number}",
            "type": "tool_calls",
            "status": "completed",
            "tools": ("price",),
            "created_at": second(begun),
            "ended_at": second(over),
            **more,
        }
    )


POLLED = (
    created(),
    started(2, stamp=1, since=1),
    waiting(10, since=8),
    changed("queued", 16, since=15, previous="requires_action"),
    started(20, stamp=19, since=18),
    ended(e.RunCompleted, 31, stamp=29, since=28),
)
FOUND = (
    created(900),
    started(900, stamp=19, since=None, inferred=True),
    ended(e.RunCompleted, 900, stamp=29, since=19),
)


def test_a_pause_within_the_second_of_the_end_is_one() -> None:
    _, phases = rows_after(
        created(),
        started(2, stamp=1, since=1),
        ended(e.RunExpired, 31, stamp=29, since=28),
        step(29, 29, status="expired"),
    )
    assert [(p.status, p.seconds) for p in phases] == [
        ("queued", 1),
        ("in_progress", 28),
        ("requires_action", 0),
    ]


def test_a_stale_answer_does_not_deny_a_pause_that_a_step_proves() -> None:
    _, phases = rows_after(
        created(),
        started(2, stamp=1, since=1),
        # A stale response showed it at work four seconds after it had stopped.
        waiting(14, since=13),
        changed("queued", 16, since=15, previous="requires_action"),
        started(20, stamp=19, since=18),
        ended(e.RunCompleted, 31, stamp=29, since=28),
        step(9, 15, tool_call_ids=("call_1",)),
    )

    pause = phases_of(phases)[2]
    assert pause.startswith("requires_action 6.0 ")
    assert pause.endswith(" disputed")


def test_a_step_makes_a_pause_exact_to_the_second() -> None:
    run, phases = rows_after(*POLLED, step(9, 15))

    assert phases_of(phases) == [
        "queued 1.0 (0.0-2.0) server",
        "in_progress 8.0 (7.0-9.0) server",
        "requires_action 6.0 (5.0-7.0) server",
        "queued 4.0 (3.0-5.0) server",
        "in_progress 10.0 (9.0-11.0) server",
    ]
    assert kinds_of(run) == {
        "queued": "5.0 (3.0-7.0)",
        "running": "18.0 (16.0-20.0)",
        "action": "6.0 (5.0-7.0)",
        "total": "29.0 (28.0-30.0)",
    }


def test_a_run_only_found_afterwards_has_the_pause_that_nobody_saw() -> None:
    run, phases = rows_after(*FOUND, step(9, 15))

    assert phases_of(phases) == [
        # No stamp tells when it first started.
        "unknown 9.0 (8.0-10.0) unknown",
        "requires_action 6.0 (5.0-7.0) server",
        "queued 4.0 (3.0-5.0) server",
        "in_progress 10.0 (9.0-11.0) server",
    ]
    assert kinds_of(run) == {
        "queued": "? (3.0-15.0)",
        "running": "? (9.0-21.0)",
        "action": "6.0 (5.0-7.0)",
        "total": "29.0 (28.0-30.0)",
    }


def test_its_first_step_tells_by_when_it_worked() -> None:
    early = step(2, 5, number=2, type="message_creation", tools=())
    _, phases = rows_after(*FOUND, step(9, 15), early)

    assert phases_of(phases)[:2] == [
        "queued ? (0.0-3.0) inferred",
        "in_progress 8.0 (6.0-10.0) inferred",
    ]


def test_several_pauses_are_told_apart_in_any_order() -> None:
    steps = [step(3, 5), step(9, 15, number=2)]
    _, phases = rows_after(*FOUND, *steps)
    _, turned = rows_after(*FOUND, *reversed(steps))
    unseen = waiting(7, since=2, inferred=True, tool_calls=())
    resumed = started(7, stamp=6, since=2, previous="requires_action")
    _, polled = rows_after(*POLLED[:2], unseen, resumed, *POLLED[2:], *steps)

    assert phases == turned
    # Nothing tells when it worked again after the first of them.
    assert [it.status for it in phases] == [
        "unknown",
        "requires_action",
        "unknown",
        "requires_action",
        "queued",
        "in_progress",
    ]
    assert [it.status for it in polled] == [
        "queued",
        *["in_progress", "requires_action", "queued"] * 2,
        "in_progress",
    ]
    for found in (phases, polled):
        waits = [it for it in phases_of(found) if it.startswith("requires_action")]
        assert waits == [
            "requires_action 2.0 (1.0-3.0) server",
            "requires_action 6.0 (5.0-7.0) server",
        ]


def test_a_pause_from_before_a_stamped_start_is_not_the_one_after_it() -> None:
    # Polled twice: queued again after the second start, and ended after the third.
    events = (
        created(14.5, status="queued"),
        started(14.5, stamp=12, since=0, inferred=True),
        waiting(14.5, since=0, inferred=True, tool_calls=()),
        changed("queued", 14.5, since=0, previous="requires_action"),
        started(32, stamp=15, since=14.5, inferred=True),
        ended(e.RunCompleted, 32, stamp=17, since=14.5),
    )
    _, phases = rows_after(*events, step(11, 12), step(13, 14, number=2))

    assert phases_of(phases)[1:5] == [
        "requires_action 1.0 (0.0-2.0) server",
        "queued 0.0 (0.0-1.0) server",
        "in_progress 1.0 (0.0-2.0) server",
        "requires_action 1.0 (0.0-2.0) server",
    ]


def test_without_a_pause_the_steps_prove_that_there_was_none() -> None:
    search = step(20, 25, tools=("code_interpreter", "file_search"))
    _, phases = rows_after(*FOUND, search)

    assert phases_of(phases) == [
        "queued 19.0 (18.0-20.0) server",
        "in_progress 10.0 (9.0-11.0) server",
    ]


def test_a_pause_that_was_never_answered_lasts_to_the_end() -> None:
    run, phases = rows_after(
        created(),
        started(2, stamp=1, since=1),
        waiting(10, since=8),
        ended(e.RunExpired, 610, stamp=None, since=599, previous="requires_action"),
        step(9, 600, status="expired"),
    )

    assert phases_of(phases)[-1] == "requires_action 591.0 (590.0-592.0) server"
    assert run.total_seconds == pytest.approx(600, abs=0.5)


def test_a_run_that_still_waits_is_left_as_it_was_seen() -> None:
    run, phases = rows_after(*POLLED[:3], step(9, 15))

    assert run.status == "requires_action"
    assert second(9) < phases[-1].entered_at < second(10)
    assert phases[-1].left_at is None


def test_a_pause_is_matched_by_time_however_far_the_clocks_are_apart() -> None:
    behind = timedelta(seconds=37)
    moved = [
        it.model_copy(
            update={
                name: moment + behind
                for name in ("observed_at", "not_before")
                if (moment := getattr(it, name)) is not None
            }
        )
        for it in POLLED
    ]
    assert phases_of(rows_after(*moved, step(9, 15))[1]) == phases_of(
        rows_after(*POLLED, step(9, 15))[1]
    )


def test_a_status_seen_after_a_pause_was_not_the_queue() -> None:
    row, phases = rows_after(
        created(6),
        changed("paused_by_operator", 6, since=None),
        # The last look before it, at 6 s, was after the pause and showed another status.
        changed("in_progress", 8, since=6, previous="paused_by_operator"),
        ended(e.RunCompleted, 20, stamp=19, since=18),
        step(2, 3, observed_at=seen(60)),
    )

    assert "queued" not in [it.status for it in phases[1:]]
    assert (row.queued_seconds, row.queued_at_least_seconds) == (None, 0.0)


def test_a_service_that_stamps_no_starts_tells_less_of_the_queue() -> None:
    _, phases = rows_after(
        created(),
        changed("in_progress", 2, since=1),
        waiting(10, since=8),
        changed("in_progress", 20, since=12, previous="requires_action"),
        ended(e.RunCompleted, 31, stamp=29, since=28),
        step(9, 15),
    )

    assert [(it.status, it.seconds) for it in phases][2:4] == [
        ("requires_action", 6),
        ("queued", None),
    ]


Story = tuple[RunRow, list[PhaseRow]]


def rows_from_bodies(snapshots: list[dict[str, Any]], steps: list[dict[str, Any]]) -> Story:
    """Returns the rows of recorded payloads, each observed right after its newest timestamp."""
    state, events, at = initial_state, [], datetime.fromtimestamp(0, UTC)
    for body in snapshots:
        newest = max(body.get(it) or 0 for it in ("created_at", "started_at", "completed_at"))
        at = max(at, datetime.fromtimestamp(newest, UTC)) + timedelta(milliseconds=100)
        decided = decide(state, run_snapshot(body, observed_at=at, source="assistants"))
        state = fold_state(decided, state)
        events += decided
    return rows_after(*events, *decide_steps(state, map(step_snapshot, steps), at))


def bodies_of(trace: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [it["body"] for it in trace["items"] if it["kind"] == kind]


def steps_of(trace: dict[str, Any]) -> list[dict[str, Any]]:
    listed = [step for body in bodies_of(trace, "step_list") for step in body["data"]]
    return [it for it in bodies_of(trace, "run_step") + listed if it["status"] == "completed"]


def calls_functions(body: dict[str, Any]) -> bool:
    calls = (body.get("step_details") or {}).get("tool_calls") or []
    return any(it["type"] == "function" for it in calls)


TRACES = [it for it in lines("traces.jsonl") if any(map(calls_functions, steps_of(it)))]


@needs_corpus
def test_there_are_traces_with_functions() -> None:
    assert len(TRACES) == 2


@pytest.mark.parametrize("trace", TRACES)
def test_end_and_steps_alone_tell_what_the_whole_recording_does(trace: dict[str, Any]) -> None:
    snapshots, steps = bodies_of(trace, "run"), steps_of(trace)
    whole_run, whole = rows_from_bodies(snapshots, steps)
    found_run, found = rows_from_bodies(snapshots[-1:], steps)

    # Only the looks told the queue from the work before the first pause.
    assert [it.status for it in found][1:] == [it.status for it in whole][2:]
    waits = [it for it in phases_of(whole) if it.startswith("requires_action")]
    assert [it for it in phases_of(found) if it.startswith("requires_action")] == waits
    assert all(it.endswith(" server") for it in waits)
    assert found_run.action_seconds == whole_run.action_seconds
    assert found_run.total_seconds == whole_run.total_seconds
