"""Conversion of a run's events to spans: one for the run, and a child for each of its phases.

The phases are those of the table `run_phases`, estimated from all events up to now.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from projections.folding.durations import UNKNOWN, Phase
from projections.folding.micros import to_moment
from projections.folding.status_trace import Measured, StatusTrace, fold
from tracker.core import events as e
from tracker.core.status import EXPIRED, FAILED, REQUIRES_ACTION
from tracker.core.usage import Usage
from tracker.event_store import RecordedEvent
from tracker.observability import attributes as a

Value = str | int | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SpanData:
    """One span."""

    name: str
    # Derived from the run's stream: a span that is built again has the same ids.
    trace_id: int
    span_id: int
    # None for the span of the run itself.
    parent_id: int | None
    start: datetime
    end: datetime
    attributes: Mapping[str, Value]
    # The cause of a failure.
    error: str | None = None


def build_spans(history: Sequence[RecordedEvent], provider: str) -> list[SpanData]:
    """Builds the spans of a run that has ended, its own first; none if it has not ended.

    Times and bases are those of the table `run_phases`: a phase that nothing divides into queued
    and working is `unknown` in both. Arguments and outputs of tools, texts of the model and
    metadata are left out. Raises ValueError where an event of the history is missing.
    """
    created: e.RunCreated | None = None
    ended: e.RunEnded | None = None
    usage: Usage | None = None
    for entry in history:
        event = entry.event
        match event:
            case e.RunCreated():
                created = event
            case e.RunEnded():
                ended, usage = event, event.usage or usage
            case e.RunUsageReported():
                usage = event.usage
            case e.RunIdentified() if created is not None:
                told = ("thread_id", "assistant_id", "model")
                news = {name: it for name in told if (it := getattr(event, name)) is not None}
                created = created.model_copy(update=news)
            case _:
                pass
    if created is None or ended is None:
        return []
    stream = history[0].stream
    digest = hashlib.sha256(stream.encode()).digest()
    trace_id, root_id = int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])
    error = _find_error(ended)
    measured = _measure(history)
    phases = measured.estimate.told_phases()
    root = SpanData(
        a.INVOKE_AGENT,
        trace_id,
        root_id,
        None,
        to_moment(phases[0].entered_at),
        to_moment(phases[-1].left_at),
        _build_root_attributes(created, ended, usage, provider, error),
        error,
    )
    children = [
        SpanData(
            phase.status,
            trace_id,
            int.from_bytes(hashlib.sha256(f"{stream}/{number}".encode()).digest()[:8]),
            root_id,
            to_moment(phase.entered_at),
            to_moment(phase.left_at),
            _build_phase_attributes(phase, measured),
        )
        for number, phase in enumerate(phases)
    ]
    return [root, *children]


def _measure(history: Sequence[RecordedEvent]) -> Measured:
    trace = StatusTrace(history[0].stream)
    for entry in history:
        fold(trace, entry)
    return trace.measure()


def find_usage(history: Sequence[RecordedEvent]) -> Usage | None:
    """Returns the usage of a run: that of its end, or of the last correction."""
    usage = None
    for entry in history:
        if isinstance(entry.event, e.RunEnded | e.RunUsageReported):
            usage = entry.event.usage or usage
    return usage


def _find_error(ended: e.RunEnded) -> str | None:
    if ended.status == FAILED:
        return (ended.error.code if ended.error else None) or "_OTHER"
    return ended.status if ended.status == EXPIRED else None


def _build_root_attributes(
    created: e.RunCreated,
    ended: e.RunEnded,
    usage: Usage | None,
    provider: str,
    error: str | None,
) -> dict[str, Value]:
    tokens = usage or Usage()
    values: dict[str, Value | None] = {
        a.OPERATION_NAME: a.INVOKE_AGENT,
        a.PROVIDER_NAME: provider,
        a.AGENT_ID: created.assistant_id,
        a.CONVERSATION_ID: created.thread_id,
        a.RESPONSE_ID: created.run_id,
        a.REQUEST_MODEL: created.model,
        a.INPUT_TOKENS: tokens.prompt_tokens,
        a.OUTPUT_TOKENS: tokens.completion_tokens,
        a.CACHE_READ_INPUT_TOKENS: tokens.cached_tokens,
        a.CACHE_CREATION_INPUT_TOKENS: tokens.cache_write_tokens,
        a.REASONING_OUTPUT_TOKENS: tokens.reasoning_tokens,
        a.ERROR_TYPE: error,
        a.SOURCE: created.source,
        a.RUN_STATUS: ended.status,
        a.RUN_REASON: ended.reason,
    }
    return {name: value for name, value in values.items() if value is not None}


def _build_phase_attributes(phase: Phase, measured: Measured) -> dict[str, Value]:
    values: dict[str, Value] = {a.PHASE_STATUS: phase.status, a.PHASE_BASIS: phase.basis}
    # A phase that nothing divides may include a pause.
    if phase.status not in (REQUIRES_ACTION, UNKNOWN):
        return values
    moments = measured.estimate.moments
    waits = [
        it.wait
        for it in measured.pauses
        if phase.entered_at <= moments[it.place] and moments[it.place + 1] <= phase.left_at
    ]
    calls = (it.call for wait in waits if wait is not None for it in wait.calls.values())
    tools = tuple(name for call in calls if (name := call.name or call.type))
    return values | ({a.PHASE_TOOLS: tools} if tools else {})
