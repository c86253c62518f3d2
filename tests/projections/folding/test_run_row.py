"""Rows of runs, event by event: the length of each phase and its uncertainty."""

from projections.database.schema import run_phases, runs
from projections.row_types import PhaseRow, RunRow, field_names
from tests.support.run_builder import (
    BIRTH,
    changed,
    created,
    ended,
    phases_of,
    rows_after,
    second,
    seen,
    started,
    waiting,
)
from tracker.core import events as e
from tracker.core.snapshot import RunSnapshot, ToolCall
from tracker.core.usage import Usage
from tracker.testing import given


def test_rows_have_the_columns_of_the_tables() -> None:
    assert field_names(RunRow) == (*(it.name for it in runs.columns), "total_dollars")
    assert field_names(PhaseRow) == tuple(it.name for it in run_phases.columns)


def test_a_new_run_is_queued_since_its_creation() -> None:
    run, phases = rows_after(
        created(thread_id="thread_1", model="gpt-4o", configuration_digest="ab")
    )

    assert (run.run_key, run.source, run.run_id) == ("assistants:run_1", "assistants", "run_1")
    assert (run.thread_id, run.assistant_id, run.model) == ("thread_1", None, "gpt-4o")
    assert (run.status, run.outcome, run.version) == ("queued", None, 1)
    assert (run.created_at, run.first_seen_at) == (BIRTH, seen(1))
    assert (run.queued_seconds, run.total_seconds, run.uncertainty_seconds) == (None, None, 1)
    assert (run.prompt_tokens, run.metadata, run.configuration_digest) == (
        None,
        {"user": "ann"},
        "ab",
    )
    assert phases == [
        PhaseRow("assistants:run_1", 1, "queued", BIRTH, None, None, 1.0, "server"),
    ]


def test_stamps_make_a_run_exact_to_the_second() -> None:
    usage = Usage(prompt_tokens=10, completion_tokens=2, total_tokens=12)
    run, phases = rows_after(
        created(),
        started(4, stamp=2, since=1),
        ended(e.RunCompleted, 9, stamp=7, since=6, usage=usage),
    )

    assert phases_of(phases) == [("queued", 2, 2, "server"), ("in_progress", 5, 2, "server")]
    assert (run.queued_seconds, run.running_seconds, run.action_seconds) == (2, 5, None)
    assert (run.total_seconds, run.uncertainty_seconds) == (7, 3)
    assert (run.status, run.outcome, run.ended_at) == ("completed", "completed", second(7))
    assert (run.started_at, run.last_changed_at) == (second(2), seen(9))
    assert (run.prompt_tokens, run.cached_tokens) == (10, None)


def test_stamps_finer_than_a_second_are_exact() -> None:
    run, phases = rows_after(
        created(occurred_at=second(0.5)),
        started(4, stamp=2.25, since=None),
        ended(e.RunCompleted, 9, stamp=7.125, since=6),
    )

    assert run.uncertainty_seconds == 0
    assert [it.seconds for it in phases] == [1.75, 4.875]


def test_a_pause_for_tools_is_bounded_by_the_polls() -> None:
    run, phases = rows_after(
        created(),
        started(2, stamp=1, since=1),
        waiting(10, since=8),
        changed("queued", 16, since=15, previous="requires_action"),
        started(20, stamp=19, since=18),
        ended(e.RunCompleted, 31, stamp=29, since=28),
    )

    assert phases_of(phases) == [
        ("queued", 1, 2, "server"),
        ("in_progress", 9.25, 3, "observed"),
        ("requires_action", 6, 3, "observed"),
        ("queued", 2.75, 2, "observed"),
        ("in_progress", 10, 2, "server"),
    ]
    assert (run.queued_seconds, run.running_seconds, run.action_seconds) == (3.75, 19.25, 6)
    assert run.total_seconds == 29
    assert run.uncertainty_seconds == 1 + 1 + 2 + 1 + 1 + 1
    assert run.started_at == second(19)


def test_a_start_does_not_tell_when_an_action_was_answered() -> None:
    _, phases = rows_after(
        created(),
        started(2, stamp=1, since=1),
        waiting(10, since=8),
        started(20, stamp=19, since=12, previous="requires_action"),
    )

    # It was queued again for some of these seconds; no poll shows how many.
    assert phases_of(phases)[2] == ("requires_action", 8.75, 2 + 6.75, "observed")
    assert phases_of(phases)[3] == ("in_progress", None, 1, "server")


def test_an_unseen_pause_counts_for_the_phase_that_it_may_have_cut_short() -> None:
    run, phases = rows_after(
        created(),
        started(2, stamp=1, since=1),
        waiting(30, since=5, inferred=True, tool_calls=(), not_after=second(21)),
        started(30, stamp=21, since=5, previous="requires_action"),
        ended(e.RunCompleted, 41, stamp=40, since=39),
    )

    assert phases_of(phases) == [
        ("queued", 1, 2, "server"),
        ("in_progress", 20, 1 + 15.75, "inferred"),
        ("requires_action", 0, 15.75 + 15.75, "inferred"),
        ("in_progress", 19, 2, "server"),
    ]
    assert (run.action_seconds, run.total_seconds) == (0, 40)
    assert run.uncertainty_seconds == 1 + 1 + 15.75 + 15.75 + 1


def test_a_run_first_seen_completed_is_no_less_sure_than_it_can_be() -> None:
    history = given().when(
        RunSnapshot(
            source="assistants",
            run_id="run_1",
            observed_at=seen(500),
            status="completed",
            created_at=BIRTH,
            started_at=second(90),
            ended_at=second(100),
        )
    )
    run, phases = rows_after(*history.decided)

    # It reports the last start only; a pause may lie before it.
    assert phases_of(phases) == [
        ("queued", 90, 1 + 90, "inferred"),
        ("in_progress", 10, 1 + 1, "inferred"),
    ]
    assert (run.total_seconds, run.uncertainty_seconds) == (100, 92)


def test_the_uncertainty_of_an_ended_run_is_no_more_than_it_lasted() -> None:
    run, _ = rows_after(
        created(),
        waiting(90, since=0, previous="queued"),
        started(95, stamp=92, since=0, inferred=True, previous="requires_action"),
        ended(e.RunCompleted, 120, stamp=100, since=0),
    )

    assert (run.total_seconds, run.uncertainty_seconds) == (100, 100 + 1 + 1)


def test_a_run_cancelled_in_the_queue_never_ran() -> None:
    run, phases = rows_after(
        created(), ended(e.RunCancelled, 9, stamp=8, since=7, previous="queued", usage=Usage())
    )

    assert phases_of(phases) == [("queued", 8, 2, "server")]
    assert (run.running_seconds, run.action_seconds, run.total_seconds) == (None, None, 8)
    assert (run.started_at, run.prompt_tokens) == (None, None)


def test_an_action_never_answered_lasts_until_the_run_expires() -> None:
    run, phases = rows_after(
        created(),
        started(2, stamp=1, since=1),
        waiting(10, since=8),
        ended(e.RunExpired, 610, stamp=None, since=605, previous="requires_action"),
    )

    assert phases_of(phases)[-1] == ("requires_action", 600, 7, "observed")
    assert (run.outcome, run.ended_at, run.expires_at) == ("expired", seen(610), second(600))
    assert (run.action_seconds, run.total_seconds) == (600, 610.25)


def test_other_tool_calls_are_no_other_phase() -> None:
    run, phases = rows_after(
        created(),
        started(2, stamp=1, since=1),
        waiting(10, since=8),
        waiting(14, since=12, previous="requires_action", tool_calls=(ToolCall(id="call_2"),)),
    )

    assert [it.status for it in phases] == ["queued", "in_progress", "requires_action"]
    assert phases[-1].entered_at == seen(10)
    assert (run.version, run.action_seconds) == (4, None)


def test_statuses_that_nobody_knows_count_as_running() -> None:
    run, phases = rows_after(
        created(),
        changed("thinking", 4, since=3),
        changed("cancelling", 6, since=5, previous="thinking"),
        ended(e.RunCancelled, 9, stamp=8, since=7, previous="cancelling"),
    )

    assert [it.status for it in phases] == ["queued", "thinking", "cancelling"]
    assert run.running_seconds == 8 - 4.25
    assert phases_of(phases)[-1] == ("cancelling", 1.75, 2, "observed")


def test_a_boundary_is_never_before_the_last_one_and_says_by_how_much() -> None:
    run, phases = rows_after(
        created(),
        started(2, stamp=1, since=1),
        waiting(30, since=28),
        started(41, stamp=12, since=40, previous="requires_action"),
        ended(e.RunCompleted, 50, stamp=20, since=49),
    )

    # Our clock runs 20 s ahead of the server's.
    assert [(it.seconds, it.uncertainty_seconds) for it in phases[2:]] == [
        (0, 2 + 19.25),
        (0, 19.25 + 11.25),
    ]
    assert (run.ended_at, run.total_seconds) == (second(20), 20)


def test_a_run_whose_creation_nobody_knows_has_no_limit_of_uncertainty() -> None:
    run, phases = rows_after(
        created(occurred_at=None),
        changed("in_progress", 4, since=1),
        ended(e.RunCompleted, 9, stamp=None, since=6),
    )

    assert (run.created_at, run.first_seen_at) == (seen(1), seen(1))
    assert (run.total_seconds, run.uncertainty_seconds) == (8, None)
    assert phases_of(phases) == [("queued", 3, None, "observed"), ("in_progress", 5, 6, "observed")]


def test_without_any_bound_a_change_came_since_the_last_one() -> None:
    _, phases = rows_after(created(), changed("in_progress", 4, since=None))

    assert phases_of(phases) == [
        ("queued", 4.25, 1 + 5.25, "observed"),
        ("in_progress", None, 5.25, "observed"),
    ]
