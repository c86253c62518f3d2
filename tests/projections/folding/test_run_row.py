"""Rows of runs, event by event: the length of each phase, and its bounds."""

from projections.database.schema import run_phases, runs
from projections.row_types import PhaseRow, RunRow, field_names
from tests.support.run_builder import (
    BIRTH,
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
    assert (run.queued_seconds, run.total_seconds, run.uncertainty_seconds) == (None, None, None)
    assert (run.prompt_tokens, run.metadata, run.configuration_digest) == (
        None,
        {"user": "ann"},
        "ab",
    )
    [phase] = phases
    assert (phase.status, phase.left_at, phase.seconds, phase.basis) == (
        "queued",
        None,
        None,
        "server",
    )
    assert BIRTH <= phase.entered_at < second(1)


def test_the_errors_of_floored_stamps_cancel() -> None:
    usage = Usage(prompt_tokens=10, completion_tokens=2, total_tokens=12)
    run, phases = rows_after(
        created(never_pauses=True),
        started(4, stamp=2, since=1),
        ended(e.RunCompleted, 9, stamp=7, since=6, usage=usage),
    )

    assert phases_of(phases) == ["queued 2.0 (1.0-3.0) server", "in_progress 5.0 (4.0-6.0) server"]
    assert kinds_of(run) == {
        "queued": "2.0 (1.0-3.0)",
        "running": "5.0 (4.0-6.0)",
        "total": "7.0 (6.0-8.0)",
    }
    assert run.uncertainty_seconds == 0.999999
    assert (run.action_seconds, run.action_at_least_seconds) == (None, None)
    assert (run.status, run.outcome, run.ended_at) == ("completed", "completed", second(7))
    assert (run.started_at, run.last_changed_at) == (second(2), seen(9))
    assert (run.prompt_tokens, run.cached_tokens) == (10, None)


def test_stamps_finer_than_a_second_are_exact() -> None:
    run, phases = rows_after(
        created(occurred_at=second(0.500001), never_pauses=True),
        started(4, stamp=2.250001, since=None),
        ended(e.RunCompleted, 9, stamp=7.125001, since=6),
    )

    assert run.uncertainty_seconds == 0
    assert [it.seconds for it in phases] == [1.75, 4.875]


def test_a_pause_for_tools_is_bounded_by_the_looks() -> None:
    run, phases = rows_after(
        created(),
        started(2, stamp=1, since=1),
        waiting(10, since=8),
        changed("queued", 16, since=15, previous="requires_action"),
        started(20, stamp=19, since=18),
        ended(e.RunCompleted, 31, stamp=29, since=28),
    )

    assert phases_of(phases) == [
        "queued 1.0 (0.0-2.0) server",
        "in_progress 7.5 (6.0-9.0) observed",
        "requires_action 6.5 (5.0-8.0) observed",
        "queued 4.0 (2.0-5.0) observed",
        "in_progress 10.0 (9.0-11.0) server",
    ]
    # Another pause may lie unseen before each start, so the queue leaves too much open.
    assert kinds_of(run) == {
        "queued": "? (2.0-10.0)",
        "running": "17.5 (15.0-23.0)",
        "action": "6.5 (5.0-13.0)",
        "total": "29.0 (28.0-30.0)",
    }
    assert run.started_at == second(19)


def test_a_start_does_not_tell_when_an_action_was_answered() -> None:
    _, phases = rows_after(
        created(),
        started(2, stamp=1, since=1),
        waiting(10, since=8),
        started(20, stamp=19, since=12, previous="requires_action"),
    )

    # It was queued again for some of these seconds; no look shows how many.
    assert phases_of(phases)[2:] == [
        "requires_action 10.5 (2.0-12.0) observed",
        "in_progress ? (?-?) server",
    ]


def test_a_pause_that_nobody_saw_leaves_open_when_it_was() -> None:
    run, phases = rows_after(
        created(),
        started(2, stamp=1, since=1),
        waiting(30, since=5, inferred=True, tool_calls=()),
        started(30, stamp=21, since=5, previous="requires_action"),
        ended(e.RunCompleted, 41, stamp=40, since=39),
    )

    assert phases_of(phases) == [
        "queued 1.0 (0.0-2.0) server",
        "in_progress ? (3.0-21.0) inferred",
        "requires_action ? (0.0-18.0) inferred",
        "in_progress 19.0 (18.0-20.0) server",
    ]
    assert (run.action_seconds, run.running_seconds, run.total_seconds) == (None, None, 40)


def test_a_run_first_seen_completed_may_have_paused_before_its_last_start() -> None:
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

    assert phases_of(phases) == [
        "queued ? (0.0-91.0) server",
        "in_progress 10.0 (9.0-11.0) server",
    ]
    assert kinds_of(run) == {
        "queued": "? (0.0-92.0)",
        "running": "? (9.0-101.0)",
        "total": "100.0 (99.0-101.0)",
    }


def test_nothing_proves_a_split_of_a_run_first_seen_ended() -> None:
    for day in (1, 366):
        response = RunSnapshot(
            source="responses",
            run_id="run_1",
            observed_at=second(86_400 * day),
            status="completed",
            created_at=BIRTH,
            ended_at=second(10),
        )
        run, phases = rows_after(*given().when(response).decided)

        assert phases_of(phases) == ["unknown 10.0 (9.0-11.0) unknown"]
        assert kinds_of(run) == {
            "queued": "? (0.0-11.0)",
            "running": "? (0.0-11.0)",
            "action": "? (0.0-11.0)",
            "total": "10.0 (9.0-11.0)",
        }


def test_an_undated_end_without_a_stamp_has_no_length() -> None:
    response = RunSnapshot(
        source="responses",
        run_id="run_1",
        observed_at=second(81e6),
        status="completed",
        created_at=BIRTH,
    )
    run, phases = rows_after(*given().when(response).decided)

    assert phases_of(phases) == ["unknown ? (0.0-?) unknown"]
    assert (run.total_seconds, run.running_seconds, run.ended_at) == (None, None, second(81e6))


def test_an_undated_expiry_is_not_before_its_time() -> None:
    expired = RunSnapshot(
        source="assistants",
        run_id="run_1",
        observed_at=second(81e6),
        status="expired",
        created_at=BIRTH,
        expires_at=second(600),
    )
    run, phases = rows_after(*given().when(expired).decided)

    assert phases_of(phases) == ["unknown ? (599.0-?) unknown"]
    assert (run.ended_at, run.queued_seconds, run.running_seconds) == (second(600), None, None)


def test_a_run_without_a_creation_was_there_before_it_started() -> None:
    completed = RunSnapshot(
        source="assistants",
        run_id="run_1",
        observed_at=second(81e6),
        status="completed",
        started_at=second(1),
        ended_at=second(10),
    )
    run, _ = rows_after(*given().when(completed).decided)

    assert (run.created_at, run.ended_at) == (second(1), second(10))
    assert kinds_of(run) == {
        "queued": "? (0.0-?)",
        "running": "? (8.0-?)",
        "total": "? (8.0-?)",
    }


def test_a_run_cancelled_in_the_queue_never_ran_as_far_as_is_known() -> None:
    run, phases = rows_after(
        created(), ended(e.RunCancelled, 9, stamp=8, since=7, previous="queued", usage=Usage())
    )

    # A look saw it queued a second before.
    assert phases_of(phases) == ["queued 8.0 (6.0-9.0) server"]
    assert (run.running_seconds, run.action_seconds, run.total_seconds) == (None, None, 8)
    assert (run.started_at, run.prompt_tokens) == (None, None)


def test_a_run_that_was_seen_queued_before_it_completed_has_worked() -> None:
    _, near = rows_after(created(0), ended(e.RunCompleted, 2, stamp=1, since=1, previous="queued"))
    _, far = rows_after(created(), ended(e.RunCompleted, 62, stamp=61, since=1, previous="queued"))

    assert phases_of(near) == [
        "queued 1.5 (1.0-2.0) inferred",
        "in_progress 0.0 (0.0-1.0) inferred",
    ]
    # Nothing divides what is left open.
    assert phases_of(far) == ["unknown 61.0 (60.0-62.0) unknown"]


def test_an_action_never_answered_lasts_until_the_run_expires() -> None:
    run, phases = rows_after(
        created(never_pauses=True),
        started(2, stamp=1, since=1),
        waiting(10, since=8),
        ended(e.RunExpired, 610, stamp=None, since=605, previous="requires_action"),
    )

    assert phases_of(phases)[-1] == "requires_action 596.0 (594.9-602.1) observed"
    assert (run.outcome, run.expires_at) == ("expired", second(600))
    # It is at its earliest, since no service waits long with it.
    assert second(604) < run.ended_at < second(605)


def test_other_tool_calls_are_no_other_phase() -> None:
    run, phases = rows_after(
        created(),
        started(2, stamp=1, since=1),
        waiting(10, since=8),
        waiting(14, since=12, previous="requires_action", tool_calls=(ToolCall(id="call_2"),)),
    )

    assert [it.status for it in phases] == ["queued", "in_progress", "requires_action"]
    assert second(8) < phases[-1].entered_at < second(10)
    assert (run.version, run.action_seconds) == (4, None)


def test_statuses_that_nobody_knows_count_as_running() -> None:
    run, phases = rows_after(
        created(never_pauses=True),
        changed("thinking", 4, since=3),
        changed("cancelling", 6, since=5, previous="thinking"),
        ended(e.RunCancelled, 9, stamp=8, since=7, previous="cancelling"),
    )

    assert [it.status for it in phases] == ["queued", "thinking", "cancelling"]
    assert phases_of(phases)[-1] == "cancelling ? (1.0-4.0) observed"
    assert kinds_of(run)["running"] == "? (2.0-7.0)"


def test_stamps_and_looks_that_contradict_each_other_are_disputed() -> None:
    run, phases = rows_after(
        created(),
        started(2, stamp=1, since=1),
        waiting(30, since=28),
        started(41, stamp=12, since=40, previous="requires_action"),
        ended(e.RunCompleted, 50, stamp=20, since=49),
    )

    # Our clock was set by 30 s.
    assert {it.basis for it in phases} == {"disputed"}
    assert phases_of(phases)[-1] == "in_progress 8.0 (7.0-10.0) disputed"
    assert (run.ended_at, run.total_seconds) == (second(20), 20)
    assert phases[-1].left_at < second(21)


def test_a_run_whose_creation_nobody_knows_has_no_upper_limit() -> None:
    run, phases = rows_after(
        created(occurred_at=None),
        changed("in_progress", 4, since=1),
        ended(e.RunCompleted, 9, stamp=None, since=6),
    )

    assert (run.created_at, run.first_seen_at) == (seen(1), seen(1))
    assert (run.total_seconds, run.uncertainty_seconds) == (None, None)
    assert phases_of(phases) == ["queued ? (0.0-?) observed", "in_progress ? (2.0-8.0) observed"]


def test_a_run_created_by_our_own_call_is_bounded_by_it() -> None:
    _, phases = rows_after(
        created(0, not_before=second(0)),
        started(1, stamp=1, since=0.5),
        ended(e.RunCompleted, 5, stamp=5, since=4.5),
    )

    # Its answer was here a quarter of a second after it was sent.
    assert phases_of(phases)[0] == "queued 0.9 (0.5-1.3) server"


def test_without_any_bound_nothing_is_known_of_a_change() -> None:
    _, phases = rows_after(created(), changed("in_progress", 4, since=None))

    assert phases_of(phases) == ["queued ? (0.0-?) observed", "in_progress ? (?-?) observed"]
