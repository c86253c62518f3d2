"""What is learnt of a run otherwise than by looking at it: the other deciders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from tracker.core import events as e
from tracker.core.snapshot import StepSnapshot
from tracker.core.state import RunState
from tracker.core.status import CANCELLED, EXPIRED, FAILED, REQUIRES_ACTION, is_ended

_CUT_OFF = (FAILED, CANCELLED, EXPIRED)


def decide_submitted(
    state: RunState, tool_call_ids: Sequence[str], observed_at: datetime
) -> list[e.Event]:
    """The event that our own client had its outputs of these calls accepted; once for each."""
    known = ("submitted", *tool_call_ids) in state.past
    if state.status is None or known:
        return []
    return [e.ToolOutputsSubmitted(observed_at=observed_at, tool_call_ids=tuple(tool_call_ids))]


def decide_steps(
    state: RunState, steps: Iterable[StepSnapshot], observed_at: datetime
) -> list[e.Event]:
    """An event for each step that ended and was not recorded yet, in order of creation."""
    if state.status is None:
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
            observed_at=observed_at,
            **step.model_dump(exclude={"usage", "error"}),
            usage=step.usage,
            error=step.error,
        )
        for step in in_order
    ]


def misses_steps(state: RunState, steps: Sequence[StepSnapshot]) -> bool:
    """Whether a whole list of the steps of a run that ended is from before its end, by all signs.

    Some are at work then, or used less than the run did, or none ended with a run that was cut
    off at work. Where no step says what it used, nothing is known of those that are missing.
    """
    if not state.is_ended:
        return False
    if not all(is_ended(step.status) for step in steps):
        return True
    spent = state.usage.total_tokens if state.usage else None
    said = [step.usage.total_tokens or 0 for step in steps if step.usage]
    if spent is not None and (said or not steps) and sum(said) < spent:
        return True
    if state.status not in _CUT_OFF or state.started_at is None or state.ended_at is None:
        return False
    ends = [step.ended_at for step in steps if step.ended_at]
    return not ends or max(ends) < state.ended_at


def decide_continued(
    state: RunState, occurred_at: datetime | None, observed_at: datetime
) -> list[e.Event]:
    """The end of a run that waited, when another run goes on from it, which began `occurred_at`."""
    if not state.needs_action:
        return []
    return [
        e.RunCompleted(
            observed_at=max(observed_at, state.observed_at or observed_at),
            occurred_at=occurred_at,
            not_before=state.observed_at,
            previous=REQUIRES_ACTION,
            usage=state.usage,
            reason=state.incomplete_reason,
        )
    ]


def decide_vanished(state: RunState, observed_at: datetime) -> list[e.Event]:
    """The event that the service knows an open run no more; it is for the caller to be sure."""
    if state.status is None or state.vanished or state.is_ended:
        return []
    return [e.RunVanished(observed_at=observed_at)]
