"""The trace of a run: its changes of status exactly as its events report them.

A fold only records them. Phases and durations are derived from the whole trace when rows are
written, so that they do not depend on the batches, and late information changes them exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from projections.folding.micros import micros, micros_or_none
from projections.folding.pauses import Pause, Step, refine, step_of
from projections.folding.phases import PhaseInterval, Transition, phase_intervals
from projections.folding.waits import Wait, stored_calls
from tracker.core import events as e
from tracker.core.status import ENDED, IN_PROGRESS, QUEUED, REQUIRES_ACTION
from tracker.event_store.store import RecordedEvent


class StatusTrace:
    """The changes of status of one run while its events are folded."""

    __slots__ = ("has_start", "key", "steps", "transitions", "version", "waits")
    handlers: ClassVar[Mapping[type[e.Event], Callable[[Any, Any], None]]]

    def __init__(self, key: str) -> None:
        self.key = key
        # The version of the last event; 0 before the first one.
        self.version = 0
        self.transitions: list[Transition] = []
        self.steps: list[Step] = []
        # Those of `transitions` that are stays in `requires_action`.
        self.waits: list[Wait] = []
        # True once the service has reported a start time.
        self.has_start = False

    @property
    def status(self) -> str:
        """Returns the status of the open phase, or of the end."""
        return self.transitions[-1][0]

    @property
    def held_bytes(self) -> int:
        """Returns roughly how much memory the calls of the pauses take."""
        return sum(it.held_bytes for it in self.waits)

    @property
    def is_refined(self) -> bool:
        """True if steps or our own submissions tell more of the pauses than the transitions."""
        return bool(self.steps) or any(it.submitted_at is not None for it in self.waits)

    def phase_intervals(self) -> list[PhaseInterval]:
        """Returns the intervals of the run, refined by its steps if there are any."""
        return self.measure()[0]

    def measure(self) -> tuple[list[PhaseInterval], list[Pause]]:
        """Returns the intervals of the run, and those of them that are pauses."""
        if not self.is_refined:
            pauses = [Pause(wait.index, wait) for wait in self.waits]
            return phase_intervals(self.transitions), pauses
        transitions, gaps, pauses = refine(self.transitions, self.steps, self.waits)
        return phase_intervals(transitions, gaps), pauses


def fold(trace: StatusTrace, recorded: RecordedEvent) -> None:
    """Applies an event to `trace`; ignores one that was folded before.

    Raises ValueError where an event before this one is missing or the run had already ended, and
    TypeError for a type of event that cannot follow.
    """
    _, stream, version, event = recorded
    known = trace.version
    if version != known + 1:
        if version <= known:
            return
        raise ValueError(f"version {known + 1} of {stream!r} is missing before it")
    kind = type(event)
    if (kind is e.RunCreated) is not (version == 1):
        if version == 1:
            raise ValueError(f"{stream!r} begins with {event.topic}, not with run.created")
        raise TypeError("RunCreated does not happen to a known run")
    handler = trace.handlers.get(kind)
    if handler is None:
        raise TypeError(f"{kind.__name__} does not happen to a known run")
    handler(trace, event)
    trace.version = version


def on_created(trace: StatusTrace, event: e.RunCreated) -> None:
    """Starts the trace as queued, at the creation or else at our first observation."""
    stamp = micros_or_none(event.occurred_at)
    trace.transitions.append((QUEUED, stamp, micros(event.observed_at), None, None, False, False))


def add_transition(trace: StatusTrace, event: e.Change, status: str) -> None:
    """Records a change of status. A start that it reports counts for the next change only."""
    if trace.transitions[-1][0] in ENDED:
        raise ValueError(f"the run had already ended as {trace.transitions[-1][0]}")
    occurred, before, after = event.occurred_at, event.not_before, event.not_after
    # With a server's timestamp the observation is not used, and converting it takes time.
    seen = micros(event.observed_at if occurred is None else occurred)
    trace.transitions.append(
        (
            status,
            None if occurred is None else seen,
            seen,
            None if before is None else micros(before),
            None if after is None else micros(after),
            event.inferred,
            trace.has_start,
        )
    )


def on_status_changed(trace: StatusTrace, event: e.RunStatusChanged) -> None:
    """Records the change to another active status."""
    add_transition(trace, event, event.status)
    if event.status == IN_PROGRESS and event.occurred_at is not None:
        trace.has_start = True


def on_action_required(trace: StatusTrace, event: e.RunActionRequired) -> None:
    """Records the beginning of a pause; other calls in the same pause are no new phase.

    Calls are of a new pause where our own client had answered all calls of the last one.
    """
    calls = stored_calls(event.tool_calls)
    if trace.transitions[-1][0] == REQUIRES_ACTION:
        wait = trace.waits[-1]
        over = wait.submitted_at
        if over is None or not wait.calls.keys().isdisjoint(calls):
            wait.replace(calls, _find_moment(event))
            return
        trace.transitions.append((IN_PROGRESS, None, over, over, None, True, trace.has_start))
    add_transition(trace, event, REQUIRES_ACTION)
    trace.waits.append(Wait(len(trace.transitions) - 1, calls.values()))


def _find_moment(event: e.RunActionRequired) -> tuple[int, int | None]:
    seen = min(event.observed_at, event.not_after or event.observed_at)
    moment, before = micros(event.occurred_at or seen), micros_or_none(event.not_before)
    return moment, None if before is None else max(0, moment - before)


def on_submitted(trace: StatusTrace, event: e.ToolOutputsSubmitted) -> None:
    """Records that our own client answered calls of the pause that the run is in."""
    if trace.transitions[-1][0] == REQUIRES_ACTION:
        trace.waits[-1].submit(event.tool_call_ids, micros(event.observed_at))


def on_ended(trace: StatusTrace, event: e.RunEnded) -> None:
    """Records the end of the run."""
    add_transition(trace, event, event.status)


def on_times_changed(trace: StatusTrace, event: e.RunTimesChanged) -> None:
    """Records that the service has reported a start time."""
    trace.has_start = trace.has_start or event.started_at is not None


def on_step_recorded(trace: StatusTrace, event: e.RunStepRecorded) -> None:
    """Records the times of a step; they change no status."""
    step = step_of(event)
    if step is not None:
        trace.steps.append(step)


def on_identified(trace: StatusTrace, event: e.RunIdentified) -> None:
    """Records the stamp of the creation, if that was not known before."""
    if event.created_at is not None:
        stamp = micros(event.created_at)
        trace.transitions[0] = (QUEUED, stamp, stamp, None, None, False, False)


def ignore(trace: StatusTrace, event: e.Event) -> None:
    """Does nothing: the event does not concern the status."""


HANDLERS: dict[type[e.Event], Callable[[Any, Any], None]] = {
    e.RunCreated: on_created,
    e.RunStatusChanged: on_status_changed,
    e.RunActionRequired: on_action_required,
    **dict.fromkeys(e.RUN_ENDS.values(), on_ended),
    e.RunTimesChanged: on_times_changed,
    e.RunStepRecorded: on_step_recorded,
    e.ToolOutputsSubmitted: on_submitted,
    e.RunIdentified: on_identified,
    **dict.fromkeys(
        (
            e.RunUsageReported,
            e.ThreadUsageReported,
            e.EnvironmentReported,
            e.RunMetadataChanged,
            e.RunVanished,
            e.RunReappeared,
            e.RunAnomalyObserved,
        ),
        ignore,
    ),
}
StatusTrace.handlers = HANDLERS
