"""The state of one run: the fold of its events, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from tracker.core import events as e
from tracker.core.snapshot import RunError, ToolCall
from tracker.core.status import IN_PROGRESS, QUEUED, REQUIRES_ACTION, is_ended
from tracker.core.usage import Usage

# The kind of the anomaly that a run on another thread came with the id of a known one.
ANOTHER_THREAD = "another_thread"

# An entry of `RunState.past`: a position in the life of a run, an earlier value, or something
# already recorded. Markers are compared, never shown.
Marker = tuple[object, ...]
# The `RunState.version` that is known to an asker who knows nothing of the run.
UNKNOWN_VERSION = -1
# The marker of a run whose metadata nobody has reported yet.
NO_METADATA: Marker = ("no metadata",)


class RunState(NamedTuple):
    """The state of a run according to its events."""

    source: str = ""
    run_id: str = ""
    thread_id: str | None = None
    assistant_id: str | None = None
    model: str | None = None
    # None before the first event.
    status: str | None = None
    # By our clock: when the run was last looked at with news, and the latest time of its events.
    observed_at: datetime | None = None
    last_event_at: datetime | None = None
    # By our clock: when the last look with news was asked for; reports of other kinds leave it.
    asked_at: datetime | None = None
    # The service's stamps.
    created_at: datetime | None = None
    started_at: datetime | None = None
    expires_at: datetime | None = None
    ended_at: datetime | None = None
    # The calls that the run waits for.
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None
    error: RunError | None = None
    incomplete_reason: str | None = None
    metadata: dict[str, Any] = {}  # noqa: RUF012 - never modified
    configuration_digest: str | None = None
    # The run, the sub-agent of its session, and the environment that it belongs to.
    parent_run_id: str | None = None
    subagent_id: str | None = None
    environment_id: str | None = None
    # The usage of the whole thread as it was last told with this run.
    thread_usage: Usage | None = None
    # The last status of its environment, in the service's words.
    environment_status: str | None = None
    # True if the run continued after an action under its old `started_at`.
    resumed: bool = False
    # True while the service says that it does not know the run.
    vanished: bool = False
    # Earlier positions and values, by which a document that is observed again is recognised.
    past: frozenset[Marker] = frozenset()
    # The number of events that tell of the run itself: not of its steps, of its environment or of
    # our own outputs. A look is new if this is the version that was known when it was asked for.
    version: int = 0

    @property
    def division_key(self) -> str:
        """The id by which trackers divide runs: that of its thread, or its own without one.

        It is the recorded one, which all trackers know, and never one that a caller named.
        """
        return self.thread_id or self.run_id

    @property
    def is_ended(self) -> bool:
        """True if the run has ended."""
        return self.status is not None and is_ended(self.status)

    @property
    def needs_action(self) -> bool:
        """True if the run waits for tool outputs or an approval."""
        return self.status == REQUIRES_ACTION


initial_state = RunState()

# Where a state has these, one after the other; its version is last.
_LAST_EVENT_AT = RunState._fields.index("last_event_at")
_ASKED_AT = RunState._fields.index("asked_at")


def is_on_another_thread(state: RunState, thread_id: str | None) -> bool:
    """True if a run is known on another thread than this one."""
    return bool(thread_id and state.thread_id) and thread_id != state.thread_id


def progress_marker(
    status: str, started_at: datetime | None, tool_calls: tuple[ToolCall, ...]
) -> Marker:
    """Returns the position in a run's life: status, current start, and the calls it waits for."""
    return ("place", status, started_at, *(call.id for call in tool_calls))


def current_progress(state: RunState) -> Marker:
    """Returns the position of a known run."""
    return progress_marker(state.status or "", state.started_at, state.tool_calls)


def metadata_marker(metadata: dict[str, Any]) -> Marker:
    """Returns the marker of metadata that a run once had."""
    return ("metadata", json.dumps(metadata, sort_keys=True, default=str))


def later_of(state: RunState, moment: datetime) -> datetime:
    """Returns a moment, or the latest time of the run's events if that is later.

    Events are recorded in an order that their times never contradict.
    """
    last = state.last_event_at
    return moment if last is None or moment > last else last


def submission_marker(tool_call_ids: Iterable[str]) -> Marker:
    """Returns the marker of tool outputs that our own client submitted."""
    return ("submitted", *tool_call_ids)


def evolve(state: RunState, event: e.Event) -> RunState:
    """Applies an event. Raises TypeError for an event that is not about a run."""
    after, version, asked_at = _apply(state, event), state.version, state.asked_at
    if isinstance(event, e.RunCreated):
        version = 1
    elif not _is_about_something_else(event):
        version += 1
    if isinstance(event, e.Look):
        moment = event.asked_moment
        if event.clock_was_set:
            # Times by the clock as it was before say nothing.
            asked_at = moment
        elif moment is not None and (asked_at is None or moment > asked_at):
            asked_at = moment
    last_event_at = later_of(state, event.observed_at)
    # A fifth of the cost of `_replace`.
    values = (*after[:_LAST_EVENT_AT], last_event_at, asked_at, *after[_ASKED_AT + 1 : -1], version)
    return RunState._make(values)


def _is_about_something_else(event: e.Event) -> bool:
    """True for an event of a run that no look at the run can show."""
    if isinstance(event, e.RunAnomalyObserved):
        return event.kind == ANOTHER_THREAD
    return isinstance(event, e.RunStepRecorded | e.ToolOutputsSubmitted | e.EnvironmentReported)


def _apply(state: RunState, event: e.Event) -> RunState:
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
                metadata=event.metadata or {},
                configuration_digest=event.configuration_digest,
                parent_run_id=event.parent_run_id,
                subagent_id=event.subagent_id,
                environment_id=event.environment_id,
                past=frozenset([NO_METADATA] if event.metadata is None else ()),
            )
        case e.RunIdentified():
            has_other_model = event.model is not None and state.model is not None
            return state._replace(
                observed_at=event.observed_at,
                thread_id=event.thread_id or state.thread_id,
                assistant_id=event.assistant_id or state.assistant_id,
                model=event.model or state.model,
                created_at=event.created_at or state.created_at,
                configuration_digest=event.configuration_digest or state.configuration_digest,
                parent_run_id=event.parent_run_id or state.parent_run_id,
                subagent_id=event.subagent_id or state.subagent_id,
                environment_id=event.environment_id or state.environment_id,
                past=state.past | {("model", state.model)} if has_other_model else state.past,
            )
        case e.RunStatusChanged():
            started = event.occurred_at if event.status == IN_PROGRESS else None
            return state._replace(
                status=event.status,
                observed_at=event.observed_at,
                started_at=started or state.started_at,
                tool_calls=(),
                resumed=started is None and (state.resumed or state.needs_action),
                vanished=False,
                past=state.past | {current_progress(state)},
            )
        case e.RunActionRequired():
            return state._replace(
                status=REQUIRES_ACTION,
                observed_at=event.observed_at,
                tool_calls=event.tool_calls,
                vanished=False,
                past=state.past | {current_progress(state)} | _stop_markers(event),
            )
        case e.RunEnded():
            return state._replace(
                status=event.status,
                observed_at=event.observed_at,
                ended_at=event.occurred_at,
                tool_calls=(),
                # What was told while the run waited stays until something else is told.
                usage=event.usage or state.usage,
                vanished=False,
                error=event.error,
                incomplete_reason=event.reason,
            )
        case e.ToolOutputsSubmitted():
            return _add_marker(state, event, submission_marker(event.tool_call_ids))
        case e.RunStepRecorded():
            # A step tells nothing of the run itself: the time of the last look stays.
            return state._replace(past=state.past | {("step", event.step_id)})
        case e.RunUsageReported():
            known = _add_marker(state, event, ("usage", event.previous))
            return known._replace(usage=event.usage)
        case e.ThreadUsageReported():
            known = _add_marker(state, event, ("thread_usage", event.previous))
            return known._replace(thread_usage=event.usage)
        case e.EnvironmentReported():
            # It tells nothing of the run itself: the time of the last look stays.
            return state._replace(environment_status=event.status)
        case e.RunMetadataChanged():
            known = _add_marker(state, event, metadata_marker(event.previous))
            return known._replace(metadata=event.metadata, past=known.past - {NO_METADATA})
        case e.RunTimesChanged():
            known = _add_marker(state, event, ("expires_at", event.previous_expires_at))
            return known._replace(
                started_at=event.started_at or state.started_at,
                expires_at=event.expires_at or state.expires_at,
                resumed=state.resumed and event.started_at is None,
            )
        case e.RunVanished():
            return state._replace(observed_at=event.observed_at, vanished=True)
        case e.RunReappeared():
            return state._replace(observed_at=event.observed_at, vanished=False)
        case e.RunAnomalyObserved(kind=kind) if kind == ANOTHER_THREAD:
            # It tells nothing of this run, not even that it was looked at.
            return state._replace(past=state.past | {("anomaly", kind, event.status)})
        case e.RunAnomalyObserved():
            return _add_marker(state, event, ("anomaly", event.kind, event.status))
        case _:
            raise TypeError(f"{type(event).__name__} does not happen to a run")


def _stop_markers(event: e.RunActionRequired) -> frozenset[Marker]:
    return frozenset([("stopped", event.occurred_at)] if event.occurred_at else ())


def _add_marker(state: RunState, event: e.Event, marker: Marker) -> RunState:
    return state._replace(observed_at=event.observed_at, past=state.past | {marker})
