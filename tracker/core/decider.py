"""The decider: `decide(state, snapshot)` returns the events that a snapshot adds to a run.

The rules about stamps are derived from recorded traffic of Assistants services: a run that
continues after tool outputs queues again with its old `started_at`, which is overwritten when
work resumes. So a `started_at` that changed proves a pause, and orders any two open snapshots.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from tracker.core import events as e
from tracker.core.corrections import add_corrections, add_identity
from tracker.core.decision import Decision
from tracker.core.snapshot import RunSnapshot
from tracker.core.state import (
    ANOTHER_THREAD,
    RunState,
    current_progress,
    evolve,
    initial_state,
    is_on_another_thread,
    progress_marker,
)
from tracker.core.status import CANCELLING, IN_PROGRESS, QUEUED, REQUIRES_ACTION, is_ended

# The rank of a run that is queued again after an action was resolved.
_REQUEUED = 3


def fold(events: Iterable[e.Event], state: RunState = initial_state) -> RunState:
    """Applies all of `events` to a state."""
    for event in events:
        state = evolve(state, event)
    return state


def decide(state: RunState, snapshot: RunSnapshot, known: int | None = None) -> list[e.Event]:
    """Returns the events that `snapshot` adds; none if it shows nothing new.

    `known` is the version of the run (`RunState.version`) that was known when the snapshot was
    asked for: at that version still, the snapshot is newer than the state. UNKNOWN_VERSION stands
    for a document of unknown age that came just now. If None, the times decide which is newer.
    """
    decision = Decision(state, snapshot, known)
    if is_on_another_thread(state, snapshot.thread_id):
        _add_anomaly(decision, ANOTHER_THREAD)
        return decision.events
    if state.status is None:
        decision.add(_create_run(decision))
    else:
        if state.vanished and decision.is_fresh:
            decision.add(e.RunReappeared(**decision.look))
        add_identity(decision)
    _advance(decision)
    return decision.events


def _create_run(decision: Decision) -> e.RunCreated:
    snapshot = decision.snapshot
    configuration = snapshot.configuration
    return e.RunCreated(
        **decision.look,
        occurred_at=snapshot.created_at,
        not_before=decision.not_before,
        source=snapshot.source,
        run_id=snapshot.run_id,
        status=snapshot.status,
        thread_id=snapshot.thread_id,
        assistant_id=snapshot.assistant_id,
        model=snapshot.model,
        service_tier=snapshot.service_tier,
        expires_at=snapshot.expires_at,
        metadata=snapshot.metadata,
        configuration_digest=configuration.digest if configuration else None,
        never_pauses=configuration is not None and configuration.never_pauses,
        parent_run_id=snapshot.parent_run_id,
        subagent_id=snapshot.subagent_id,
        environment_id=snapshot.environment_id,
        ahead=snapshot.ahead,
    )


def _advance(decision: Decision) -> None:
    snapshot, state = decision.snapshot, decision.state
    if state.is_ended:
        if snapshot.status == state.status or snapshot.stays_waiting:
            add_corrections(decision)
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
        add_corrections(decision)


def _is_older(decision: Decision) -> bool:
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


def _follow_start(decision: Decision) -> None:
    """Adds the transitions that a new `started_at` proves."""
    snapshot, state = decision.snapshot, decision.state
    started = snapshot.started_at
    if started is None or (state.started_at is not None and started <= state.started_at):
        return
    is_working = state.status == IN_PROGRESS
    if state.status == CANCELLING or (is_working and (state.resumed or state.started_at is None)):
        decision.add(
            e.RunTimesChanged(
                **decision.look,
                previous_started_at=state.started_at,
                started_at=started,
            )
        )
        return
    if is_working:
        _add_inferred_action(decision, not_after=decision.not_after)
    decision.add(
        e.RunStatusChanged(
            **decision.look,
            occurred_at=started,
            not_before=decision.not_before_of(IN_PROGRESS),
            inferred=snapshot.status != IN_PROGRESS,
            previous=decision.status,
            status=IN_PROGRESS,
        )
    )


def _follow_status(decision: Decision) -> None:
    """Adds the transition to the snapshot's status."""
    snapshot, past = decision.snapshot, decision.state.past
    if snapshot.status == QUEUED and decision.status == IN_PROGRESS:
        _add_inferred_action(decision, not_after=decision.not_after)
    if snapshot.status in e.RUN_ENDS:
        is_earlier = snapshot.observed_at < decision.observed_at
        decision.add(
            e.RUN_ENDS[snapshot.status](
                **decision.look,
                # The stamp of when the run stopped to wait does not tell when the wait was over.
                occurred_at=None if ("stopped", snapshot.ended_at) in past else snapshot.ended_at,
                not_before=decision.not_before_of(snapshot.status),
                not_after=snapshot.observed_at if is_earlier else None,
                previous=decision.status,
                usage=snapshot.usage or decision.state.usage,
                error=snapshot.error,
                reason=snapshot.incomplete_reason,
                ahead=snapshot.ahead,
            )
        )
    elif snapshot.status == REQUIRES_ACTION:
        if decision.status != REQUIRES_ACTION or decision.state.tool_calls != snapshot.tool_calls:
            decision.add(
                e.RunActionRequired(
                    **decision.look,
                    occurred_at=snapshot.ended_at,
                    not_before=decision.not_before_of(snapshot.status),
                    not_after=decision.not_after,
                    previous=decision.status,
                    tool_calls=snapshot.tool_calls,
                )
            )
    elif snapshot.status != decision.status:
        decision.add(
            e.RunStatusChanged(
                **decision.look,
                not_before=decision.not_before_of(snapshot.status),
                not_after=decision.not_after,
                previous=decision.status,
                status=snapshot.status,
            )
        )


def _add_inferred_action(decision: Decision, not_after: datetime | None) -> None:
    decision.add(
        e.RunActionRequired(
            **decision.look,
            not_before=decision.not_before,
            not_after=not_after,
            inferred=True,
            previous=decision.status,
        )
    )


def _add_anomaly(decision: Decision, kind: str) -> None:
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
