"""Conversion of a run's events to spans: one for the run, and a child for each of its phases.

The phases come from the transitions only. The table `run_phases` is more exact if the steps of a
run were read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tracker.core import events as e
from tracker.core.status import EXPIRED, FAILED, QUEUED, REQUIRES_ACTION
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


@dataclass(slots=True)
class _Phase:
    status: str
    start: datetime
    basis: str
    tools: tuple[str, ...] = ()


def build_spans(history: Sequence[RecordedEvent], provider: str) -> list[SpanData]:
    """Builds the spans of a run that has ended, its own first; none if it has not ended.

    Times are the server's stamps if there are any, else those of our observation; the attribute
    for the basis tells which, and is `inferred` if no poll saw a phase. Arguments and outputs of
    tools, texts of the model and metadata are left out.
    """
    created: e.RunCreated | None = None
    ended: e.RunEnded | None = None
    usage: Usage | None = None
    phases: list[_Phase] = []
    moments: list[datetime] = []
    for entry in history:
        event = entry.event
        match event:
            case e.RunCreated():
                created = event
                phases.append(_Phase(QUEUED, _add_moment(event, moments), _find_basis(event)))
            case e.RunStatusChanged():
                phases.append(_Phase(event.status, _add_moment(event, moments), _find_basis(event)))
            case e.RunActionRequired():
                if event.previous != REQUIRES_ACTION:
                    moment = _add_moment(event, moments)
                    phases.append(_Phase(REQUIRES_ACTION, moment, _find_basis(event)))
                tools = (call.name or call.type for call in event.tool_calls)
                phases[-1].tools = (*phases[-1].tools, *tools)
            case e.RunEnded():
                ended, usage = event, event.usage or usage
                _add_moment(event, moments)
            case e.RunUsageReported():
                usage = event.usage
            case e.RunIdentified() if created is not None:
                told = ("thread_id", "assistant_id", "model")
                news = {name: it for name in told if (it := getattr(event, name)) is not None}
                created = created.model_copy(update=news)
                if event.created_at is not None:
                    moments[0] = phases[0].start = min(moments[0], event.created_at)
                    phases[0].basis = "server"
            case _:
                pass
    if created is None or ended is None:
        return []
    stream = history[0].stream
    digest = hashlib.sha256(stream.encode()).digest()
    trace_id, root_id = int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])
    error = _find_error(ended)
    root = SpanData(
        a.INVOKE_AGENT,
        trace_id,
        root_id,
        None,
        moments[0],
        moments[-1],
        _build_root_attributes(created, ended, usage, provider, error),
        error,
    )
    end_bases = [*(phase.basis for phase in phases[1:]), _find_basis(ended)]
    children = [
        SpanData(
            phase.status,
            trace_id,
            int.from_bytes(hashlib.sha256(f"{stream}/{number}".encode()).digest()[:8]),
            root_id,
            phase.start,
            end,
            _build_phase_attributes(phase, end_basis),
        )
        for number, (phase, end, end_basis) in enumerate(
            zip(phases, moments[1:], end_bases, strict=True)
        )
    ]
    return [root, *children]


def find_usage(history: Sequence[RecordedEvent]) -> Usage | None:
    """Returns the usage of a run: that of its end, or of the last correction."""
    usage = None
    for entry in history:
        if isinstance(entry.event, e.RunEnded | e.RunUsageReported):
            usage = entry.event.usage or usage
    return usage


def _add_moment(event: e.Change, moments: list[datetime]) -> datetime:
    """Appends the moment of an event, but none earlier than the last; returns it."""
    moment = event.occurred_at or min(event.observed_at, event.not_after or event.observed_at)
    moments.append(max([moment, *moments[-1:]]))
    return moments[-1]


def _find_basis(event: e.Change) -> str:
    if event.inferred:
        return "inferred"
    return "observed" if event.occurred_at is None else "server"


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


def _build_phase_attributes(phase: _Phase, end_basis: str) -> dict[str, Value]:
    basis = {phase.basis, end_basis}
    weakest = next((each for each in ("inferred", "observed") if each in basis), "server")
    values: dict[str, Value] = {a.PHASE_STATUS: phase.status, a.PHASE_BASIS: weakest}
    return values | ({a.PHASE_TOOLS: phase.tools} if phase.tools else {})
