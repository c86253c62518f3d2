"""The trace of a run: its changes of status exactly as its events report them.

A fold only records them. Phases and durations are estimated from the whole trace when rows are
written, so that they do not depend on the batches, and late information changes them exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, ClassVar, NamedTuple

from projections.folding.durations import UNKNOWN, Estimate
from projections.folding.estimator import estimate
from projections.folding.evidence import complete_line, keep_one_clock, last_moment
from projections.folding.micros import micros, micros_or_none
from projections.folding.network import INFERRED, NO_OFFSET, OBSERVED, SERVER, Boundary
from projections.folding.pauses import Pause, Step, place_pauses, step_of
from projections.folding.waits import Moment, Wait, stored_calls
from tracker.core import events as e
from tracker.core.status import ENDED, EXPIRED, QUEUED, REQUIRES_ACTION
from tracker.event_store.store import RecordedEvent


class Measured(NamedTuple):
    """A run as its events prove it: its line, the estimate of it, and those that are pauses."""

    line: Sequence[Boundary]
    estimate: Estimate
    pauses: Sequence[Pause]

    def count_phases(self) -> int:
        """Returns the number of rows of the phases of the run."""
        return len(self.estimate.told_phases()) + (self.line[-1].status not in ENDED)


class StatusTrace:
    """The changes of status of one run while its events are folded."""

    __slots__ = (
        "clock_sets",
        "expires_at",
        "has_start",
        "key",
        "never_pauses",
        "steps",
        "transitions",
        "version",
        "waits",
    )
    handlers: ClassVar[Mapping[type[e.Event], Callable[[Any, Any], None]]]

    def __init__(self, key: str) -> None:
        self.key = key
        # The version of the last event; 0 before the first one.
        self.version = 0
        self.transitions: list[Boundary] = []
        # Before which of `transitions` our clock was set.
        self.clock_sets: list[int] = []
        self.steps: list[Step] = []
        # Those of `transitions` that are stays in `requires_action`.
        self.waits: list[Wait] = []
        # True once the service has reported a start beside a change of status.
        self.has_start = False
        # True if the configuration of the run has no tool that it waits for.
        self.never_pauses = False
        # The last known one, in microseconds.
        self.expires_at: int | None = None

    @property
    def status(self) -> str:
        """Returns the status of the open phase, or of the end."""
        return self.transitions[-1][0]

    @property
    def held_bytes(self) -> int:
        """Returns roughly how much memory the calls of the pauses take."""
        return sum(it.held_bytes for it in self.waits)

    def measure(self) -> Measured:
        """Returns the phases of the run, and those of them that are pauses."""
        line, calls, never_pauses = self._make_line()
        pauses: Sequence[Pause] = ()
        if calls:
            places = [at for at, it in enumerate(line) if it[0] == REQUIRES_ACTION]
            pauses = [Pause(at, *it) for at, it in zip(places, calls, strict=True)]
        return Measured(line, estimate(line, hides_pause=not never_pauses), pauses)

    def _make_line(
        self,
    ) -> tuple[list[Boundary], Sequence[tuple[Wait | None, Step | None]], bool]:
        boundaries: Sequence[Boundary] = self.transitions
        waits: Sequence[Wait] = self.waits
        if self.clock_sets:
            boundaries = keep_one_clock(boundaries, self.clock_sets)
            waits = [it.without_looks() for it in waits]
        calls: Sequence[tuple[Wait | None, Step | None]] = ()
        if self.steps or (waits and any(it.submitted_at is not None for it in waits)):
            boundaries, calls = place_pauses(boundaries, self.steps, waits)
        elif waits:
            calls = [(it, None) for it in waits]
        # The list of steps is complete at the end.
        never_pauses = self.never_pauses or (bool(self.steps) and self.status in ENDED)
        line = complete_line(boundaries, never_pauses=never_pauses, has_start=self.has_start)
        return line, calls, never_pauses


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
    """Starts the trace as queued, at the creation or else before our first observation."""
    trace.never_pauses = event.never_pauses
    trace.expires_at = micros_or_none(event.expires_at)
    trace.transitions.append(_bound(event, QUEUED))
    _add_offset(trace, event.ahead)


def _bound(event: e.Change, status: str) -> Boundary:
    occurred, before, after = event.occurred_at, event.not_before, event.not_after
    seen = event.observed_at
    if after is not None and after < seen:
        seen = after
    low, high, basis = -inf, inf, INFERRED if event.inferred else OBSERVED
    if occurred is not None:
        low = micros(occurred)
        high, basis = last_moment(low), SERVER
    since = -inf if before is None else micros(before)
    return _new(Boundary, (status, low, high, since, micros(seen), False, basis, NO_OFFSET))


def _add_offset(trace: StatusTrace, ahead: tuple[int, int] | None) -> None:
    if ahead is not None:
        trace.transitions[-1] = trace.transitions[-1]._replace(ahead=ahead)


# Half of the cost of the constructor.
_new = tuple.__new__


def add_transition(trace: StatusTrace, event: e.Change, status: str) -> None:
    """Records a change of status."""
    if trace.transitions[-1][0] in ENDED:
        raise ValueError(f"the run had already ended as {trace.transitions[-1][0]}")
    if event.clock_was_set:
        trace.clock_sets.append(len(trace.transitions))
    trace.transitions.append(_bound(event, status))


def on_status_changed(trace: StatusTrace, event: e.RunStatusChanged) -> None:
    """Records the change to another active status."""
    add_transition(trace, event, event.status)


def on_action_required(trace: StatusTrace, event: e.RunActionRequired) -> None:
    """Records the beginning of a pause; other calls in the same pause are no new phase.

    Calls are of a new pause where our own client had answered all calls of the last one.
    """
    calls = stored_calls(event.tool_calls)
    if trace.transitions[-1][0] == REQUIRES_ACTION:
        wait = trace.waits[-1]
        over = wait.submitted_at
        if over is None or not wait.calls.keys().isdisjoint(calls):
            _, low, high, after, until, *_ = _bound(event, REQUIRES_ACTION)
            wait.replace(calls, Moment(low, high, after, until))
            if event.clock_was_set:
                trace.clock_sets.append(len(trace.transitions))
            return
        trace.transitions.append(Boundary(UNKNOWN, until=over, basis=INFERRED))
    add_transition(trace, event, REQUIRES_ACTION)
    trace.waits.append(Wait(len(trace.transitions) - 1, calls.values()))


def on_submitted(trace: StatusTrace, event: e.ToolOutputsSubmitted) -> None:
    """Records that our own client answered calls of the pause that the run is in."""
    if trace.transitions[-1][0] == REQUIRES_ACTION:
        trace.waits[-1].submit(event.tool_call_ids, micros(event.observed_at))


def on_ended(trace: StatusTrace, event: e.RunEnded) -> None:
    """Records the end of the run: one without a stamp that expired, not before it had to."""
    add_transition(trace, event, event.status)
    if event.status == EXPIRED and event.occurred_at is None and trace.expires_at is not None:
        trace.transitions[-1] = trace.transitions[-1]._replace(low=trace.expires_at)
    _add_offset(trace, event.ahead)


def on_times_changed(trace: StatusTrace, event: e.RunTimesChanged) -> None:
    """Records that the service has reported a start time, or another expiry."""
    trace.has_start = trace.has_start or event.started_at is not None
    trace.expires_at = micros_or_none(event.expires_at) or trace.expires_at


def on_step_recorded(trace: StatusTrace, event: e.RunStepRecorded) -> None:
    """Records the times of a step; they change no status."""
    step = step_of(event)
    if step is not None:
        trace.steps.append(step)


def on_identified(trace: StatusTrace, event: e.RunIdentified) -> None:
    """Records the stamp of the creation, and that the run never pauses, if that is new."""
    trace.never_pauses = trace.never_pauses or event.never_pauses
    if event.created_at is not None:
        stamp = micros(event.created_at)
        trace.transitions[0] = trace.transitions[0]._replace(
            low=stamp, high=last_moment(stamp), basis=SERVER
        )


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
