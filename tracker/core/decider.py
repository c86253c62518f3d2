"""What a look at a run means: the decider. `decide(state, snapshot)` gives the events.

The rules about stamps are read off recorded traffic of Assistants services: a run that
continues after tool outputs queues again with its old `started_at`, which is overwritten when
work resumes. So a start that moved proves a pause, and orders any two open snapshots.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from tracker.core import events as e
from tracker.core.snapshot import RunSnapshot
from tracker.core.state import (
    RunState,
    current_place,
    evolve,
    initial_state,
    is_terminal,
    metadata_trace,
    place,
    rank,
)
from tracker.core.status import CANCELLING, IN_PROGRESS, QUEUED, REQUIRES_ACTION, is_ended

__all__ = [
    "decide",
    "evolve",
    "fold",
    "initial_state",
    "is_terminal",
]

# Tools that the service runs by itself; any other kind can stop a run until somebody answers.
_SERVED_TOOLS = frozenset({"code_interpreter", "file_search", "retrieval"})


def fold(events: Iterable[e.Event], state: RunState = initial_state) -> RunState:
    """The state after all of `events`."""
    for event in events:
        state = evolve(state, event)
    return state


def decide(state: RunState, snapshot: RunSnapshot) -> list[e.Event]:
    """The events by which `snapshot` changes what is known; none where it shows nothing new."""
    decision = _Decision(state, snapshot)
    if state.status is None:
        decision.add(_created(snapshot))
    elif state.vanished and decision.is_fresh:
        decision.add(e.RunReappeared(observed_at=snapshot.observed_at))
    _advance(decision)
    return decision.events


class _Decision:
    """One snapshot being worked into events, each folded at once into the state."""

    def __init__(self, state: RunState, snapshot: RunSnapshot) -> None:
        self.snapshot = snapshot
        self.events: list[e.Event] = []
        self.is_fresh = (
            snapshot.asked_at is not None
            and state.observed_at is not None
            and snapshot.asked_at > state.observed_at
        )
        self.floor = _floor(state, snapshot)
        self.state = state

    def add(self, event: e.Event) -> None:
        self.events.append(event)
        self.state = evolve(self.state, event)

    @property
    def status(self) -> str:
        return self.state.status or QUEUED


def _floor(state: RunState, snapshot: RunSnapshot) -> datetime | None:
    """The last moment known not to show what the snapshot may show for the first time."""
    if state.status is None:
        return snapshot.created_at
    if snapshot.asked_at is None:
        # When we saw the state before says nothing about a document of unknown age.
        return state.started_at or state.created_at
    return snapshot.unchanged_until or state.observed_at


def _created(snapshot: RunSnapshot) -> e.RunCreated:
    configuration = snapshot.configuration
    return e.RunCreated(
        observed_at=snapshot.observed_at,
        occurred_at=snapshot.created_at,
        source=snapshot.source,
        run_id=snapshot.run_id,
        status=snapshot.status,
        thread_id=snapshot.thread_id,
        assistant_id=snapshot.assistant_id,
        model=snapshot.model,
        expires_at=snapshot.expires_at,
        metadata=snapshot.metadata,
        configuration_digest=configuration.digest if configuration else None,
    )


def _advance(decision: _Decision) -> None:
    snapshot, state = decision.snapshot, decision.state
    if state.is_ended:
        if snapshot.status == state.status or snapshot.shows_waiting_for_ever:
            _correct(decision)
        elif is_ended(snapshot.status):
            _anomaly(decision, "end_changed")
        elif decision.is_fresh:
            _anomaly(decision, "status_went_back")
    elif _is_older(decision):
        if decision.is_fresh:
            _anomaly(decision, "status_went_back")
    else:
        _follow_start(decision)
        _follow_status(decision)
        _correct(decision)


def _is_older(decision: _Decision) -> bool:
    """Whether an open run has been past what the snapshot shows."""
    snapshot, state = decision.snapshot, decision.state
    if is_ended(snapshot.status):
        return False
    here = current_place(state)
    there = place(snapshot.status, snapshot.started_at, snapshot.tool_calls)
    if there == here:
        return False
    if state.status == CANCELLING:
        return True
    is_news = decision.is_fresh or there not in state.past
    if snapshot.started_at != state.started_at:
        if snapshot.started_at is None:
            return True
        if state.started_at is not None and snapshot.started_at < state.started_at:
            return True
        return not is_news
    behind = rank(snapshot.status, snapshot.started_at) - rank(decision.status, state.started_at)
    if behind >= 0:
        return not is_news
    # The start stays for a while after an action was answered, so only a fresh look can tell
    # a run that resumed from an old document.
    answered = state.status == REQUIRES_ACTION or rank(decision.status, state.started_at) == 3
    return not (answered and decision.is_fresh)


def _follow_start(decision: _Decision) -> None:
    """Brings the state under the snapshot's `started_at`, by the transitions that it proves."""
    snapshot, state = decision.snapshot, decision.state
    started = snapshot.started_at
    if started is None or (state.started_at is not None and started <= state.started_at):
        return
    working = state.status == IN_PROGRESS
    if state.status == CANCELLING or (working and (state.resumed or state.started_at is None)):
        decision.add(
            e.RunTimesChanged(
                observed_at=snapshot.observed_at,
                previous_started_at=state.started_at,
                started_at=started,
            )
        )
        return
    if working:
        _infer_action(decision, not_after=started)
    seen = snapshot.status == IN_PROGRESS
    decision.add(
        e.RunStatusChanged(
            observed_at=snapshot.observed_at,
            occurred_at=started,
            # Without a floor the stamp says it all: no earlier start can lie behind this one.
            not_before=decision.floor if _can_pause(snapshot) else None,
            inferred=not seen,
            previous=decision.status,
            status=IN_PROGRESS,
        )
    )


def _follow_status(decision: _Decision) -> None:
    """Brings the state to the snapshot's status."""
    snapshot, past = decision.snapshot, decision.state.past
    if snapshot.status == QUEUED and decision.status == IN_PROGRESS:
        _infer_action(decision, not_after=snapshot.not_after)
    if snapshot.status in e.RUN_ENDS:
        decision.add(
            e.RUN_ENDS[snapshot.status](
                observed_at=snapshot.observed_at,
                # A stamp of when it stopped to wait is no stamp of when the wait was over.
                occurred_at=None if ("stopped", snapshot.ended_at) in past else snapshot.ended_at,
                not_before=decision.floor,
                previous=decision.status,
                usage=snapshot.usage,
                error=snapshot.error,
                reason=snapshot.incomplete_reason,
            )
        )
    elif snapshot.status == REQUIRES_ACTION:
        if decision.status != REQUIRES_ACTION or decision.state.tool_calls != snapshot.tool_calls:
            decision.add(
                e.RunActionRequired(
                    observed_at=snapshot.observed_at,
                    occurred_at=snapshot.ended_at,
                    not_before=decision.floor,
                    not_after=snapshot.not_after,
                    previous=decision.status,
                    tool_calls=snapshot.tool_calls,
                )
            )
    elif snapshot.status != decision.status:
        decision.add(
            e.RunStatusChanged(
                observed_at=snapshot.observed_at,
                not_before=decision.floor,
                not_after=snapshot.not_after,
                previous=decision.status,
                status=snapshot.status,
            )
        )


def _infer_action(decision: _Decision, not_after: datetime | None) -> None:
    decision.add(
        e.RunActionRequired(
            observed_at=decision.snapshot.observed_at,
            not_before=decision.floor,
            not_after=not_after,
            inferred=True,
            previous=decision.status,
        )
    )


def _correct(decision: _Decision) -> None:
    """Records what the service changed beside the status."""
    snapshot, state = decision.snapshot, decision.state
    fresh, past = decision.is_fresh, state.past
    usage, expires_at = snapshot.usage, snapshot.expires_at
    settled = state.is_ended or state.needs_action
    if settled and usage not in (None, state.usage) and ("usage", usage) not in past:
        decision.add(
            e.RunUsageReported(observed_at=snapshot.observed_at, previous=state.usage, usage=usage)
        )
    moved = not state.is_ended and expires_at not in (None, state.expires_at)
    if moved and (fresh or ("expires_at", expires_at) not in past):
        decision.add(
            e.RunTimesChanged(
                observed_at=snapshot.observed_at,
                previous_expires_at=state.expires_at,
                expires_at=expires_at,
            )
        )
    metadata = snapshot.metadata
    if metadata != state.metadata and (fresh or metadata_trace(metadata) not in past):
        decision.add(
            e.RunMetadataChanged(
                observed_at=snapshot.observed_at, previous=state.metadata, metadata=metadata
            )
        )


def _anomaly(decision: _Decision, kind: str) -> None:
    snapshot, state = decision.snapshot, decision.state
    if ("anomaly", kind, snapshot.status) not in state.past:
        decision.add(
            e.RunAnomalyObserved(
                observed_at=snapshot.observed_at,
                kind=kind,
                status=snapshot.status,
                known_status=decision.status,
            )
        )


def _can_pause(snapshot: RunSnapshot) -> bool:
    """Whether the run may have waited for an action that nobody saw."""
    tools = snapshot.configuration.tools if snapshot.configuration else None
    return tools is None or any(tool.get("type") not in _SERVED_TOOLS for tool in tools)
