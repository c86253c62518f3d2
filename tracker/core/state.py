"""What is known of one run, as the fold of its events, and nothing else."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NamedTuple

from tracker.core import events as e
from tracker.core.snapshot import RunError, ToolCall
from tracker.core.status import CANCELLING, IN_PROGRESS, QUEUED, REQUIRES_ACTION, is_ended
from tracker.core.usage import Usage

# A place in a run's life, a value it once had, or a thing already recorded: compared, never shown.
Trace = tuple[object, ...]


class RunState(NamedTuple):
    """One run as its events tell it; `status` is None before the first.

    `resumed` is true where the run went on after an action under its old `started_at`.
    `past` holds what it has been through, so that a document seen again is known as such.
    """

    source: str = ""
    run_id: str = ""
    thread_id: str | None = None
    assistant_id: str | None = None
    model: str | None = None
    status: str | None = None
    observed_at: datetime | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    expires_at: datetime | None = None
    ended_at: datetime | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None
    error: RunError | None = None
    incomplete_reason: str | None = None
    metadata: dict[str, Any] = {}  # noqa: RUF012 - nobody writes to it
    configuration_digest: str | None = None
    resumed: bool = False
    vanished: bool = False
    past: frozenset[Trace] = frozenset()

    @property
    def is_ended(self) -> bool:
        """Whether the run has come to its end."""
        return self.status is not None and is_ended(self.status)

    @property
    def needs_action(self) -> bool:
        """Whether the run waits for tool outputs or an approval."""
        return self.status == REQUIRES_ACTION


initial_state = RunState()


def is_terminal(state: RunState) -> bool:
    """Whether no further transition can come, so that polling may stop."""
    return state.is_ended


def place(status: str, started_at: datetime | None, tool_calls: tuple[ToolCall, ...]) -> Trace:
    """Where in its life a run is: the status, under which start, waiting for which calls."""
    return ("place", status, started_at, *(call.id for call in tool_calls))


def current_place(state: RunState) -> Trace:
    """The place of a known run."""
    return place(state.status or "", state.started_at, state.tool_calls)


def metadata_trace(metadata: dict[str, Any]) -> Trace:
    """Metadata that a run once had."""
    return ("metadata", json.dumps(metadata, sort_keys=True, default=str))


def evolve(state: RunState, event: e.Event) -> RunState:
    """The state after one more event. Raises TypeError for a kind that belongs to no run."""
    match event:
        case e.RunCreated():
            return RunState(
                source=event.source,
                run_id=event.run_id,
                thread_id=event.thread_id,
                assistant_id=event.assistant_id,
                model=event.model,
                status=QUEUED,
                observed_at=event.observed_at,
                created_at=event.occurred_at,
                expires_at=event.expires_at,
                metadata=event.metadata,
                configuration_digest=event.configuration_digest,
            )
        case e.RunStatusChanged():
            started = event.occurred_at if event.status == IN_PROGRESS else None
            return state._replace(
                status=event.status,
                observed_at=event.observed_at,
                started_at=started or state.started_at,
                tool_calls=(),
                resumed=started is None and (state.resumed or state.needs_action),
                past=state.past | {current_place(state)},
            )
        case e.RunActionRequired():
            return state._replace(
                status=REQUIRES_ACTION,
                observed_at=event.observed_at,
                tool_calls=event.tool_calls,
                past=state.past | {current_place(state)} | _stop(event),
            )
        case e.RunEnded():
            return state._replace(
                status=event.status,
                observed_at=event.observed_at,
                ended_at=event.occurred_at,
                tool_calls=(),
                usage=event.usage,
                error=event.error,
                incomplete_reason=event.reason,
            )
        case e.ToolOutputsSubmitted():
            return _noted(state, event, ("submitted", *event.tool_call_ids))
        case e.RunStepRecorded():
            return _noted(state, event, ("step", event.step_id))
        case e.RunUsageReported():
            known = _noted(state, event, ("usage", event.previous))
            return known._replace(usage=event.usage)
        case e.RunMetadataChanged():
            known = _noted(state, event, metadata_trace(event.previous))
            return known._replace(metadata=event.metadata)
        case e.RunTimesChanged():
            known = _noted(state, event, ("expires_at", event.previous_expires_at))
            return known._replace(
                started_at=event.started_at or state.started_at,
                expires_at=event.expires_at or state.expires_at,
                resumed=state.resumed and event.started_at is None,
            )
        case e.RunVanished():
            return state._replace(observed_at=event.observed_at, vanished=True)
        case e.RunReappeared():
            return state._replace(observed_at=event.observed_at, vanished=False)
        case e.RunAnomalyObserved():
            return _noted(state, event, ("anomaly", event.kind, event.status))
        case _:
            raise TypeError(f"{type(event).__name__} does not happen to a run")


def _stop(event: e.RunActionRequired) -> frozenset[Trace]:
    return frozenset([("stopped", event.occurred_at)] if event.occurred_at else ())


def _noted(state: RunState, event: e.Event, trace: Trace) -> RunState:
    return state._replace(observed_at=event.observed_at, past=state.past | {trace})


def rank(status: str, started_at: datetime | None) -> int:
    """How far along a run is under one `started_at`.

    It queues, works, waits for an action, and queues again with its old start still shown.
    """
    if status == QUEUED:
        return 0 if started_at is None else 3
    if status == CANCELLING:
        return 4
    return 2 if status == REQUIRES_ACTION else 1
