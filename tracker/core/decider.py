"""The decider: `decide(state, snapshot)` returns the events that a snapshot adds to a run.

The rules about stamps are derived from recorded traffic of Assistants services: a run that
continues after tool outputs queues again with its old `started_at`, which is overwritten when
work resumes. So a `started_at` that changed proves a pause, and orders any two open snapshots.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tracker.core import events as e
from tracker.core.snapshot import RunSnapshot
from tracker.core.state import (
    ANOTHER_THREAD,
    NO_METADATA,
    Marker,
    RunState,
    current_progress,
    evolve,
    initial_state,
    is_on_another_thread,
    later_of,
    metadata_marker,
    progress_marker,
)
from tracker.core.status import CANCELLING, IN_PROGRESS, QUEUED, REQUIRES_ACTION, is_ended

# Tools that the service runs by itself; any other can stop a run until somebody answers.
_SERVER_SIDE_TOOLS = frozenset({"code_interpreter", "file_search", "retrieval"})

# The rank of a run that is queued again after an action was resolved.
_REQUEUED = 3


def fold(events: Iterable[e.Event], state: RunState = initial_state) -> RunState:
    """Applies all of `events` to a state."""
    for event in events:
        state = evolve(state, event)
    return state


def decide(state: RunState, snapshot: RunSnapshot) -> list[e.Event]:
    """Returns the events that `snapshot` adds; none if it shows nothing new."""
    decision = _Decision(state, snapshot)
    if is_on_another_thread(state, snapshot.thread_id):
        _add_anomaly(decision, ANOTHER_THREAD)
        return decision.events
    if state.status is None:
        decision.add(_create_run(snapshot))
    else:
        if state.vanished and decision.is_fresh:
            decision.add(e.RunReappeared(observed_at=decision.observed_at))
        _add_identity(decision)
    _advance(decision)
    return decision.events


class _Decision:
    """The events that a snapshot adds so far; each is applied to the state at once."""

    def __init__(self, state: RunState, snapshot: RunSnapshot) -> None:
        self.snapshot = snapshot
        self.events: list[e.Event] = []
        self.is_fresh = (
            snapshot.asked_at is not None
            and state.observed_at is not None
            and snapshot.asked_at > state.observed_at
        )
        # True if what is known of the run was seen after the snapshot.
        self.is_outdated = (
            not self.is_fresh
            and state.observed_at is not None
            and snapshot.observed_at < state.observed_at
        )
        self.observed_at = later_of(state, snapshot.observed_at)
        # Lower and upper bound of what the snapshot shows for the first time.
        self.not_before = _find_not_before(state, snapshot, is_outdated=self.is_outdated)
        self.not_after = snapshot.not_after
        if snapshot.observed_at < self.observed_at:
            self.not_after = min(snapshot.observed_at, snapshot.not_after or snapshot.observed_at)
        self.state = state

    def add(self, event: e.Event) -> None:
        self.events.append(event)
        self.state = evolve(self.state, event)

    @property
    def status(self) -> str:
        return self.state.status or QUEUED


def _find_not_before(
    state: RunState, snapshot: RunSnapshot, *, is_outdated: bool
) -> datetime | None:
    """Returns the last moment at which the run is known not to have been as the snapshot shows."""
    if state.status is None:
        return snapshot.created_at
    if snapshot.asked_at is not None and snapshot.unchanged_until is not None:
        return snapshot.unchanged_until
    if snapshot.asked_at is None or is_outdated:
        # The time of our last observation says nothing about a document that may be older.
        return state.started_at or state.created_at
    return state.observed_at


def _create_run(snapshot: RunSnapshot) -> e.RunCreated:
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


def _add_identity(decision: _Decision) -> None:
    """Adds what identifies the run, as far as it was not known; and another model."""
    snapshot, state = decision.snapshot, decision.state
    news: dict[str, Any] = {
        name: told
        for name in ("thread_id", "assistant_id", "created_at")
        if (told := getattr(snapshot, name)) and not getattr(state, name)
    }
    if snapshot.configuration is not None and state.configuration_digest is None:
        news["configuration_digest"] = snapshot.configuration.digest
    if snapshot.model and (not state.model or _is_other_model(decision, snapshot.model)):
        news["model"] = snapshot.model
    if news:
        decision.add(e.RunIdentified(observed_at=decision.observed_at, **news))


def _is_other_model(decision: _Decision, model: str) -> bool:
    """True if a run has another model than the known one: a router names its choice late."""
    state = decision.state
    if model == state.model or decision.snapshot.has_model_of_thread:
        return False
    return _is_correction(decision, ("model", model))


def _advance(decision: _Decision) -> None:
    snapshot, state = decision.snapshot, decision.state
    if state.is_ended:
        if snapshot.status == state.status or snapshot.stays_waiting:
            _add_corrections(decision)
        elif is_ended(snapshot.status):
            _add_anomaly(decision, "end_changed")
        elif decision.is_fresh:
            _add_anomaly(decision, "status_went_back")
    elif _is_older(decision):
        if decision.is_fresh:
            _add_anomaly(decision, "status_went_back")
    else:
        _follow_start(decision)
        _follow_status(decision)
        _add_corrections(decision)


def _is_older(decision: _Decision) -> bool:
    """True if an open run is known to have been past the state that the snapshot shows."""
    snapshot, state = decision.snapshot, decision.state
    if is_ended(snapshot.status):
        return False
    shown = progress_marker(snapshot.status, snapshot.started_at, snapshot.tool_calls)
    if shown == current_progress(state):
        return False
    if state.status == CANCELLING:
        return True
    # A document of unknown age may have been seen late, and tell more than a look before it.
    is_late = decision.is_outdated and snapshot.asked_at is not None
    is_news = decision.is_fresh or (shown not in state.past and not is_late)
    if snapshot.started_at != state.started_at:
        if snapshot.started_at is None:
            return True
        if state.started_at is not None and snapshot.started_at < state.started_at:
            return True
        # A start that is newer proves progress, whenever it was seen.
        return shown in state.past and not decision.is_fresh
    known_rank = _rank(decision.status, state.started_at)
    if _rank(snapshot.status, snapshot.started_at) >= known_rank:
        return not is_news
    # The old start stays for a while after an action was resolved, so only a fresh snapshot can
    # tell a run that resumed from an old document.
    may_resume = state.status == REQUIRES_ACTION or known_rank == _REQUEUED
    return not (may_resume and decision.is_fresh)


def _rank(status: str, started_at: datetime | None) -> int:
    """Returns a number that grows as a run advances under one `started_at`.

    A run queues, works, waits for an action, and queues again with its old start still shown.
    """
    if status == QUEUED:
        return 0 if started_at is None else _REQUEUED
    if status == CANCELLING:
        return 4
    return 2 if status == REQUIRES_ACTION else 1


def _follow_start(decision: _Decision) -> None:
    """Adds the transitions that a new `started_at` proves."""
    snapshot, state = decision.snapshot, decision.state
    started = snapshot.started_at
    if started is None or (state.started_at is not None and started <= state.started_at):
        return
    is_working = state.status == IN_PROGRESS
    if state.status == CANCELLING or (is_working and (state.resumed or state.started_at is None)):
        decision.add(
            e.RunTimesChanged(
                observed_at=decision.observed_at,
                previous_started_at=state.started_at,
                started_at=started,
            )
        )
        return
    if is_working:
        _add_inferred_action(decision, not_after=started)
    decision.add(
        e.RunStatusChanged(
            observed_at=decision.observed_at,
            occurred_at=started,
            # A run that cannot pause has one start, so its stamp is exact and needs no bound.
            not_before=decision.not_before if _can_pause(snapshot) else None,
            inferred=snapshot.status != IN_PROGRESS,
            previous=decision.status,
            status=IN_PROGRESS,
        )
    )


def _follow_status(decision: _Decision) -> None:
    """Adds the transition to the snapshot's status."""
    snapshot, past = decision.snapshot, decision.state.past
    if snapshot.status == QUEUED and decision.status == IN_PROGRESS:
        _add_inferred_action(decision, not_after=decision.not_after)
    if snapshot.status in e.RUN_ENDS:
        is_earlier = snapshot.observed_at < decision.observed_at
        decision.add(
            e.RUN_ENDS[snapshot.status](
                observed_at=decision.observed_at,
                # The stamp of when the run stopped to wait does not tell when the wait was over.
                occurred_at=None if ("stopped", snapshot.ended_at) in past else snapshot.ended_at,
                not_before=decision.not_before,
                not_after=snapshot.observed_at if is_earlier else None,
                previous=decision.status,
                usage=snapshot.usage or decision.state.usage,
                error=snapshot.error,
                reason=snapshot.incomplete_reason,
            )
        )
    elif snapshot.status == REQUIRES_ACTION:
        if decision.status != REQUIRES_ACTION or decision.state.tool_calls != snapshot.tool_calls:
            decision.add(
                e.RunActionRequired(
                    observed_at=decision.observed_at,
                    occurred_at=snapshot.ended_at,
                    not_before=decision.not_before,
                    not_after=decision.not_after,
                    previous=decision.status,
                    tool_calls=snapshot.tool_calls,
                )
            )
    elif snapshot.status != decision.status:
        decision.add(
            e.RunStatusChanged(
                observed_at=decision.observed_at,
                not_before=decision.not_before,
                not_after=decision.not_after,
                previous=decision.status,
                status=snapshot.status,
            )
        )


def _add_inferred_action(decision: _Decision, not_after: datetime | None) -> None:
    decision.add(
        e.RunActionRequired(
            observed_at=decision.observed_at,
            not_before=decision.not_before,
            not_after=not_after,
            inferred=True,
            previous=decision.status,
        )
    )


def _add_corrections(decision: _Decision) -> None:
    """Adds what the service changed beside the status, or had not told before."""
    snapshot, state, observed_at = decision.snapshot, decision.state, decision.observed_at
    usage, expires_at, metadata = snapshot.usage, snapshot.expires_at, snapshot.metadata
    has_usage = state.is_ended or state.needs_action
    if (
        has_usage
        and usage is not None
        and usage != state.usage
        and (state.usage is None or _is_correction(decision, ("usage", usage)))
    ):
        decision.add(e.RunUsageReported(observed_at=observed_at, previous=state.usage, usage=usage))
    has_moved = not state.is_ended and expires_at not in (None, state.expires_at)
    if has_moved and (
        state.expires_at is None or _is_correction(decision, ("expires_at", expires_at))
    ):
        decision.add(
            e.RunTimesChanged(
                observed_at=observed_at,
                previous_expires_at=state.expires_at,
                expires_at=expires_at,
            )
        )
    if metadata is None or metadata == state.metadata:
        return
    if NO_METADATA in state.past or _is_correction(decision, metadata_marker(metadata)):
        decision.add(
            e.RunMetadataChanged(
                observed_at=observed_at, previous=state.metadata, metadata=metadata
            )
        )


def _is_correction(decision: _Decision, marker: Marker) -> bool:
    """True if a value that differs from the known one is newer than that.

    Of a document of unknown age that is so if the run never had the value before.
    """
    if decision.is_fresh:
        return True
    return not decision.is_outdated and marker not in decision.state.past


def _add_anomaly(decision: _Decision, kind: str) -> None:
    snapshot, state = decision.snapshot, decision.state
    if ("anomaly", kind, snapshot.status) not in state.past:
        decision.add(
            e.RunAnomalyObserved(
                observed_at=decision.observed_at,
                kind=kind,
                status=snapshot.status,
                known_status=decision.status,
            )
        )


def _can_pause(snapshot: RunSnapshot) -> bool:
    """True if the run may have waited for an action that nobody saw."""
    tools = snapshot.configuration.tools if snapshot.configuration else None
    return tools is None or any(str(tool.get("type")) not in _SERVER_SIDE_TOOLS for tool in tools)
