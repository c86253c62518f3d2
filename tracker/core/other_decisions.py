"""The other deciders: events that do not come from a snapshot of the run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from tracker.core import events as e
from tracker.core.snapshot import StepSnapshot
from tracker.core.state import RunState, is_on_another_thread, later_of, submission_marker
from tracker.core.status import CANCELLED, EXPIRED, FAILED, REQUIRES_ACTION, is_ended

# The ends that also end the steps that are running.
_INTERRUPTED = (FAILED, CANCELLED, EXPIRED)


def decide_submission(
    state: RunState, tool_call_ids: Sequence[str], observed_at: datetime
) -> list[e.Event]:
    """Returns the event for tool outputs that the service accepted from our own client, once."""
    if state.status is None or submission_marker(tool_call_ids) in state.past:
        return []
    return [
        e.ToolOutputsSubmitted(
            observed_at=later_of(state, observed_at), tool_call_ids=tuple(tool_call_ids)
        )
    ]


def decide_steps(
    state: RunState,
    steps: Iterable[StepSnapshot],
    observed_at: datetime,
    thread_id: str | None = None,
) -> list[e.Event]:
    """Returns an event for each step that ended and is not recorded yet, in order of creation.

    None for steps of a run on another thread, if `thread_id` is known.
    """
    if state.status is None or is_on_another_thread(state, thread_id):
        return []
    ended = {
        step.step_id: step
        for step in steps
        if is_ended(step.status) and ("step", step.step_id) not in state.past
    }
    in_order = sorted(
        ended.values(), key=lambda step: (step.created_at or observed_at, step.step_id)
    )
    return [
        e.RunStepRecorded(
            observed_at=later_of(state, observed_at),
            **step.model_dump(exclude={"usage", "error", "peculiarities"}),
            usage=step.usage,
            error=step.error,
        )
        for step in in_order
    ]


def is_stale_step_list(state: RunState, steps: Sequence[StepSnapshot]) -> bool:
    """True if a list of steps looks stale: fetched before the run ended.

    Its signs: a step is running, the steps used fewer tokens than the run, or no step ended
    together with a run that was interrupted. If no step reports its usage, steps that are missing
    go unnoticed.
    """
    if not state.is_ended:
        return False
    if not all(is_ended(step.status) for step in steps):
        return True
    run_tokens = state.usage.total_tokens if state.usage else None
    step_tokens = [step.usage.total_tokens or 0 for step in steps if step.usage]
    if run_tokens is not None and (step_tokens or not steps) and sum(step_tokens) < run_tokens:
        return True
    if state.status not in _INTERRUPTED or state.started_at is None or state.ended_at is None:
        return False
    ends = [step.ended_at for step in steps if step.ended_at]
    return not ends or max(ends) < state.ended_at


def decide_continuation(
    state: RunState,
    occurred_at: datetime | None,
    observed_at: datetime,
    sent_at: datetime | None = None,
) -> list[e.Event]:
    """Returns the end of a run that waited: another run, begun `occurred_at`, continues it.

    `sent_at` is when our own call for that other run was sent.
    """
    if not state.needs_action:
        return []
    return [
        e.RunCompleted(
            observed_at=later_of(state, observed_at),
            occurred_at=occurred_at,
            not_before=max(filter(None, (state.asked_at, sent_at)), default=None),
            previous=REQUIRES_ACTION,
            usage=state.usage,
            reason=state.incomplete_reason,
        )
    ]


def decide_disappearance(
    state: RunState, observed_at: datetime, known: int | None = None
) -> list[e.Event]:
    """Returns the event for an open run that the service no longer knows; the caller makes sure.

    None for a run that was seen after the service denied it: it is past the version `known` then.
    """
    if state.status is None or state.vanished or state.is_ended:
        return []
    if known is not None and known != state.version:
        return []
    if known is None and state.observed_at is not None and observed_at < state.observed_at:
        return []
    return [e.RunVanished(observed_at=later_of(state, observed_at))]


def decide_environment(
    state: RunState, environment_id: str, status: str, observed_at: datetime
) -> list[e.Event]:
    """Returns the event for the status of the environment of an open run, if it is news."""
    if state.status is None or state.is_ended or state.environment_status == status:
        return []
    return [
        e.EnvironmentReported(
            observed_at=later_of(state, observed_at), environment_id=environment_id, status=status
        )
    ]
