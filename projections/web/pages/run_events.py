"""The events of a run in words."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from projections.web.local_time import LocalTime
from projections.web.words import (
    UNKNOWN,
    count_noun,
    cut_text,
    describe_status,
    is_whole,
)
from tracker.core import events as e
from tracker.core.usage import Usage


class EventLine(NamedTuple):
    """One event of the log."""

    number: int
    name: str
    text: str
    # By the service's clock, in words.
    says: str
    seen_at: datetime
    # Since the creation of the run.
    seconds: float
    url: str | None
    is_chosen: bool


def says_when(event: e.Event, near: datetime, time: LocalTime) -> str:
    """Returns when an event happened by the service's clock: a time, or after a time."""
    if isinstance(event, e.RunStepRecorded):
        moment = event.ended_at or event.created_at
        return UNKNOWN if moment is None else _write(moment, near, time)
    if not isinstance(event, e.Change):
        return UNKNOWN
    if event.occurred_at is not None:
        return _write(event.occurred_at, near, time)
    if event.not_before is not None:
        return f"after {_write(event.not_before, near, time)}"
    return UNKNOWN


def _write(moment: datetime, near: datetime, time: LocalTime) -> str:
    is_fine = not is_whole(moment.timestamp())
    return time.format_clock(moment, near, is_fine=is_fine)


def find_change_bounds(event: e.Change) -> tuple[datetime, datetime]:
    """Returns the moments between which a change happened, by its stamps and our looks.

    A stamp in whole seconds stands for the second that begins with it.
    """
    if event.occurred_at is not None:
        if event.occurred_at.microsecond:
            return event.occurred_at, event.occurred_at
        return event.occurred_at, event.occurred_at.replace(microsecond=999_999)
    last = min(event.observed_at, event.not_after or event.observed_at)
    return min(event.not_before or last, last), last


def describe_event(event: e.Event) -> str:
    """Returns what an event says, in a few words."""
    describe = _WORDS.get(type(event))
    if describe is None and isinstance(event, e.RunEnded):
        describe = _describe_end
    return cut_text(describe(event)) if describe is not None else ""


def _describe_created(event: e.RunCreated) -> str:
    return ", ".join(filter(None, (describe_status(event.status), event.model)))


def _describe_changed(event: e.RunStatusChanged) -> str:
    return f"{describe_status(event.previous)} → {describe_status(event.status)}"


def _describe_action(event: e.RunActionRequired) -> str:
    calls = [f"{it.name or it.type or 'call'}({it.arguments or ''})" for it in event.tool_calls]
    return ", ".join(calls) or "calls that nobody saw"


def _describe_end(event: Any) -> str:
    parts = [f"from {describe_status(event.previous)}", _describe_tokens(event.usage)]
    if event.error is not None:
        parts += [event.error.code, event.error.message]
    return ", ".join(filter(None, (*parts, event.reason)))


def _describe_tokens(usage: Usage | None) -> str | None:
    if usage is None or usage.total_tokens is None:
        return None
    return count_noun(usage.total_tokens, "token")


def _describe_submitted(event: e.ToolOutputsSubmitted) -> str:
    return f"outputs of {count_noun(len(event.tool_call_ids), 'call')}"


def _describe_step(event: e.RunStepRecorded) -> str:
    name = ", ".join(event.tools) or event.type
    error = None if event.error is None else event.error.code
    failed = None if event.status == "completed" else event.status
    return ", ".join(filter(None, (name, failed, error, _describe_tokens(event.usage))))


def _describe_identified(event: e.RunIdentified) -> str:
    return ", ".join(filter(None, (event.thread_id, event.assistant_id, event.model)))


def _describe_usage(event: e.RunUsageReported) -> str:
    before = _describe_tokens(event.previous)
    now = _describe_tokens(event.usage) or "unknown tokens"
    return f"{before} → {now}" if before else now


def _describe_metadata(event: e.RunMetadataChanged) -> str:
    return ", ".join(f"{key} = {value}" for key, value in event.metadata.items()) or "none"


def _describe_times(event: e.RunTimesChanged) -> str:
    told = (("starts", event.started_at), ("expires", event.expires_at))
    return ", ".join(f"{name} {it:%H:%M:%S} UTC" for name, it in told if it is not None)


def _describe_anomaly(event: e.RunAnomalyObserved) -> str:
    kind = event.kind.replace("_", " ")
    return f"{kind}: {describe_status(event.known_status)} → {describe_status(event.status)}"


_WORDS: dict[type[e.Event], Callable[[Any], str]] = {
    e.RunCreated: _describe_created,
    e.RunStatusChanged: _describe_changed,
    e.RunActionRequired: _describe_action,
    e.ToolOutputsSubmitted: _describe_submitted,
    e.RunStepRecorded: _describe_step,
    e.RunIdentified: _describe_identified,
    e.RunUsageReported: _describe_usage,
    e.RunMetadataChanged: _describe_metadata,
    e.RunTimesChanged: _describe_times,
    e.RunVanished: lambda event: "the service does not know the run",
    e.RunReappeared: lambda event: "the service knows the run again",
    e.RunAnomalyObserved: _describe_anomaly,
    e.Unreadable: lambda event: f"{event.stored_topic}: {event.reason}",
}
