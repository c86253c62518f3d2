"""The trace of a run: its changes of status as its events tell them, and nothing derived.

A fold only notes them; phases and durations are made of a whole trace when rows are written, so
that they are the same whatever the batches were, and what is learnt late changes them exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from projections.folding.micros import micros, micros_or_none
from projections.folding.pauses import Step, refined, step_of
from projections.folding.phases import PhaseInterval, Transition, stays
from tracker.core import events as e
from tracker.core.status import ENDED, IN_PROGRESS, QUEUED, REQUIRES_ACTION
from tracker.event_store.store import RecordedEvent


class StatusTrace:
    """One run on its way through a fold. `version` is 0 before its first event.

    `has_start` says whether the service ever gave a start of the run.
    """

    __slots__ = ("has_start", "key", "steps", "transitions", "version")
    handlers: ClassVar[Mapping[type[e.Event], Callable[[Any, Any], None]]]

    def __init__(self, key: str) -> None:
        self.key = key
        self.version = 0
        self.transitions: list[Transition] = []
        self.steps: list[Step] = []
        self.has_start = False

    @property
    def status(self) -> str:
        """The status of the open phase, or of the end."""
        return self.transitions[-1][0]

    def stays(self) -> list[PhaseInterval]:
        """The stays of the run, as exact as its changes of status and its steps make them."""
        if not self.steps:
            return stays(self.transitions)
        return stays(*refined(self.transitions, self.steps))


def fold(trace: StatusTrace, recorded: RecordedEvent) -> None:
    """Brings `trace` on by one event; one that it already includes changes nothing.

    Raises ValueError where an event is missing before this one, or the run had ended before it,
    and TypeError for a kind of event that does not happen to a run.
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


def created(trace: StatusTrace, event: e.RunCreated) -> None:
    """Every history opens as queued, since its creation or since we saw it."""
    stamp = micros_or_none(event.occurred_at)
    trace.transitions.append((QUEUED, stamp, micros(event.observed_at), None, None, False, False))


def moved(trace: StatusTrace, event: e.Change, status: str) -> None:
    """A change of status; the start that it may bring counts for the next one only."""
    if trace.transitions[-1][0] in ENDED:
        raise ValueError(f"the run had already ended as {trace.transitions[-1][0]}")
    occurred, before, after = event.occurred_at, event.not_before, event.not_after
    # Nothing is made of when we saw what the server dated, and a number costs time.
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


def status_changed(trace: StatusTrace, event: e.RunStatusChanged) -> None:
    """The run went to another active status."""
    moved(trace, event, event.status)
    if event.status == IN_PROGRESS and event.occurred_at is not None:
        trace.has_start = True


def action_required(trace: StatusTrace, event: e.RunActionRequired) -> None:
    """The run waits; other calls than before are no other phase."""
    if trace.transitions[-1][0] != REQUIRES_ACTION:
        moved(trace, event, REQUIRES_ACTION)


def ended(trace: StatusTrace, event: e.RunEnded) -> None:
    """The run came to its end."""
    moved(trace, event, event.status)


def times_changed(trace: StatusTrace, event: e.RunTimesChanged) -> None:
    """The service moved a start."""
    trace.has_start = trace.has_start or event.started_at is not None


def step_recorded(trace: StatusTrace, event: e.RunStepRecorded) -> None:
    """A step ended; what it says of pauses changes no status."""
    step = step_of(event)
    if step is not None:
        trace.steps.append(step)


def unmoved(trace: StatusTrace, event: e.Event) -> None:
    """What happens to a run beside its status."""


HANDLERS: dict[type[e.Event], Callable[[Any, Any], None]] = {
    e.RunCreated: created,
    e.RunStatusChanged: status_changed,
    e.RunActionRequired: action_required,
    **dict.fromkeys(e.RUN_ENDS.values(), ended),
    e.RunTimesChanged: times_changed,
    e.RunStepRecorded: step_recorded,
    **dict.fromkeys(
        (
            e.ToolOutputsSubmitted,
            e.RunUsageReported,
            e.RunMetadataChanged,
            e.RunVanished,
            e.RunReappeared,
            e.RunAnomalyObserved,
        ),
        unmoved,
    ),
}
StatusTrace.handlers = HANDLERS
