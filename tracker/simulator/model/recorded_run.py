"""The course of a recorded run by its service's clock, as its events tell it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from math import inf
from typing import NamedTuple

from tracker.core import events as e
from tracker.core.snapshot import Configuration, ToolCall
from tracker.core.state import RunState, evolve, initial_state
from tracker.core.status import is_ended

_RESPONSE = "resp"
# They tell nothing that the service would show in the run itself.
_UNSHOWN = (
    e.RunStepRecorded,
    e.ToolOutputsSubmitted,
    e.RunAnomalyObserved,
    e.ThreadUsageReported,
    e.EnvironmentReported,
)


class RecordedState(NamedTuple):
    """A run from a moment on, in unix seconds, until the next of its states."""

    at: float
    state: RunState
    # Of its last pause: the calls, and the service's stamp of when it stopped for them.
    calls: tuple[ToolCall, ...]
    stopped_at: datetime | None


class RecordedStep(NamedTuple):
    """A step with the moments, in unix seconds, at which it is first shown and at which it ends."""

    begins: float
    ends: float
    event: e.RunStepRecorded


class RecordedRun:
    """A run whose states are shown again at the times at which its service entered them.

    Where the service gave no stamp, that is the middle between the two looks at it. `events` begin
    with the creation.
    """

    def __init__(self, events: Sequence[e.Event], configuration: Configuration | None) -> None:
        created = events[0]
        if not isinstance(created, e.RunCreated):
            raise ValueError(f"a history begins with {created.topic}, not with run.created")
        self.run_id, self.source = created.run_id, created.source
        self.service_tier = created.service_tier
        self.has_metadata = created.metadata is not None
        self.configuration = configuration
        # The response that it continues, if it is one.
        self.continues: str | None = None
        moments = find_moments(events)
        self.states = _find_states(events, moments)
        self.steps = [
            _make_step(event, moment, self.states)
            for event, moment in zip(events, moments, strict=True)
            if isinstance(event, e.RunStepRecorded)
        ]

    @property
    def is_response(self) -> bool:
        """True for a response of the Responses API, by its id; others are shown as runs."""
        return self.run_id.startswith(_RESPONSE)

    @property
    def thread_id(self) -> str:
        """The last known thread; an empty text if none is known."""
        return self.states[-1].state.thread_id or ""

    @property
    def created_at(self) -> float:
        """The creation, in unix seconds."""
        return self.states[0].at

    @property
    def last_changed_at(self) -> float:
        """The last change, in unix seconds."""
        return max(self.states[-1].at, *(it.ends for it in self.steps), self.states[0].at)

    def at(self, now: float) -> RecordedState | None:
        """Returns the state at a moment; None before the creation."""
        count = bisect_right(self.states, now, key=lambda it: it.at)
        return self.states[count - 1] if count else None


def find_moments(events: Sequence[e.Event]) -> list[float]:
    """Returns when each event happened by the service's clock, in unix seconds and in order.

    Our clock is translated by the smallest delay between a stamp and our first sight of it.
    """
    stamps = [_find_stamp(it) for it in events]
    delays = [
        event.observed_at.timestamp() - stamp
        for event, stamp in zip(events, stamps, strict=True)
        if stamp is not None
    ]
    delay = min(delays, default=0.0)
    moments: list[float] = []
    limit = inf
    for event, stamp in zip(reversed(events), reversed(stamps), strict=True):
        if stamp is not None:
            limit = min(limit, stamp)
        moments.append(min(limit, _guess_moment(event) - delay if stamp is None else stamp))
    moments.reverse()
    for place in range(1, len(moments)):
        moments[place] = max(moments[place - 1], moments[place])
    return moments


def _find_stamp(event: e.Event) -> float | None:
    stamp = event.occurred_at if isinstance(event, e.Change) else None
    if isinstance(event, e.RunTimesChanged):
        stamp = event.started_at
    return None if stamp is None else stamp.timestamp()


def _guess_moment(event: e.Event) -> float:
    seen = event.observed_at.timestamp()
    if isinstance(event, e.Change):
        if event.not_after is not None:
            seen = min(seen, event.not_after.timestamp())
        if event.not_before is not None:
            return (seen + min(seen, event.not_before.timestamp())) / 2
    return seen


def _find_states(events: Sequence[e.Event], moments: Sequence[float]) -> list[RecordedState]:
    states: list[RecordedState] = []
    state = initial_state
    calls: tuple[ToolCall, ...] = ()
    stopped_at: datetime | None = None
    for event, moment in zip(events, moments, strict=True):
        if isinstance(event, _UNSHOWN):
            continue
        state = evolve(state, event)
        if isinstance(event, e.RunActionRequired):
            calls, stopped_at = event.tool_calls, event.occurred_at
        states.append(RecordedState(moment, state, calls, stopped_at))
    return states


def _make_step(
    event: e.RunStepRecorded, moment: float, states: Sequence[RecordedState]
) -> RecordedStep:
    ended = [it.at for it in states if it.state.status and is_ended(it.state.status)]
    end = moment if event.ended_at is None else event.ended_at.timestamp()
    if event.ended_at is None and ended:
        end = ended[0]
    begin = end if event.created_at is None else event.created_at.timestamp()
    return RecordedStep(begin, end, event)
