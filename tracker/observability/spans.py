"""A run's recorded events as spans: one for the run, and one below it for each of its phases.

The phases are those of the transitions alone. The table `run_phases` is more exact where the
steps of a run were read.
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
    """One span. Its ids are made of the run's stream, so that a second one of it is the same.

    `parent_id` is None for the span of the run itself. `error` is why it failed, if it did.
    """

    name: str
    trace_id: int
    span_id: int
    parent_id: int | None
    start: datetime
    end: datetime
    attributes: Mapping[str, Value]
    error: str | None = None


@dataclass(slots=True)
class _Phase:
    status: str
    start: datetime
    basis: str
    tools: tuple[str, ...] = ()


def spans_of(history: Sequence[RecordedEvent], provider: str) -> list[SpanData]:
    """The spans of a run that has ended, its own first; none where it has not.

    Times are the server's where it gave any, else when we saw it; `basis` says which, `inferred`
    where no poll saw a phase. What tools were called with, and what they and the model said, is
    left out, as metadata is.
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
                phases.append(_Phase(QUEUED, _moment(event, moments), _basis(event)))
            case e.RunStatusChanged():
                phases.append(_Phase(event.status, _moment(event, moments), _basis(event)))
            case e.RunActionRequired():
                if event.previous != REQUIRES_ACTION:
                    moment = _moment(event, moments)
                    phases.append(_Phase(REQUIRES_ACTION, moment, _basis(event)))
                tools = (call.name or call.type for call in event.tool_calls)
                phases[-1].tools = (*phases[-1].tools, *tools)
            case e.RunEnded():
                ended, usage = event, event.usage
                _moment(event, moments)
            case e.RunUsageReported():
                usage = event.usage
            case _:
                pass
    if created is None or ended is None:
        return []
    stream = history[0].stream
    digest = hashlib.sha256(stream.encode()).digest()
    trace_id, root_id = int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])
    error = _error(ended)
    root = SpanData(
        a.INVOKE_AGENT,
        trace_id,
        root_id,
        None,
        moments[0],
        moments[-1],
        _root_attributes(created, ended, usage, provider, error),
        error,
    )
    leaving = [*(phase.basis for phase in phases[1:]), _basis(ended)]
    children = [
        SpanData(
            phase.status,
            trace_id,
            int.from_bytes(hashlib.sha256(f"{stream}/{number}".encode()).digest()[:8]),
            root_id,
            phase.start,
            left,
            _phase_attributes(phase, left_by),
        )
        for number, (phase, left, left_by) in enumerate(
            zip(phases, moments[1:], leaving, strict=True)
        )
    ]
    return [root, *children]


def usage_of(history: Sequence[RecordedEvent]) -> Usage | None:
    """The usage that is known of a run: what its end said, or a later correction."""
    usage = None
    for entry in history:
        if isinstance(entry.event, e.RunEnded | e.RunUsageReported):
            usage = entry.event.usage
    return usage


def _moment(event: e.Change, moments: list[datetime]) -> datetime:
    """When it happened, and never before what happened before it."""
    moment = event.occurred_at or min(event.observed_at, event.not_after or event.observed_at)
    moments.append(max([moment, *moments[-1:]]))
    return moments[-1]


def _basis(event: e.Change) -> str:
    if event.inferred:
        return "inferred"
    return "observed" if event.occurred_at is None else "server"


def _error(ended: e.RunEnded) -> str | None:
    if ended.status == FAILED:
        return (ended.error.code if ended.error else None) or "_OTHER"
    return ended.status if ended.status == EXPIRED else None


def _root_attributes(
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
        a.REASONING_OUTPUT_TOKENS: tokens.reasoning_tokens,
        a.ERROR_TYPE: error,
        a.SOURCE: created.source,
        a.RUN_STATUS: ended.status,
        a.RUN_REASON: ended.reason,
    }
    return {name: value for name, value in values.items() if value is not None}


def _phase_attributes(phase: _Phase, left_by: str) -> dict[str, Value]:
    basis = {phase.basis, left_by}
    weakest = next((each for each in ("inferred", "observed") if each in basis), "server")
    values: dict[str, Value] = {a.PHASE_STATUS: phase.status, a.PHASE_BASIS: weakest}
    return values | ({a.PHASE_TOOLS: phase.tools} if phase.tools else {})
