"""Mapping of runs and steps of an Assistants service to snapshots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from tracker.core.snapshot import Configuration, RunSnapshot, StepSnapshot, ToolCall
from tracker.core.status import (
    CANCELLING,
    COMPLETED,
    ENDED,
    IN_PROGRESS,
    QUEUED,
    REQUIRES_ACTION,
    is_ended,
)
from tracker.core.usage import Usage
from tracker.errors import PayloadError
from tracker.sources.assistants.models import Run, RunStep, TokenUsage
from tracker.sources.documents import decode, describe_errors, objects_in, validate
from tracker.sources.payload_format import Api, PayloadFormat
from tracker.sources.peculiarities import Documented, peculiarities
from tracker.sources.wire import counted, run_error, text_of

RUN_OBJECT = "thread.run"
STEP_OBJECT = "thread.run.step"

# Not the model: that is a column of its own.
_SETTINGS = {
    "temperature",
    "top_p",
    "max_prompt_tokens",
    "max_completion_tokens",
    "truncation_strategy",
    "response_format",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning_effort",
    "tool_resources",
    "file_ids",
}
_CONFIGURATION = {"instructions", "tools", *_SETTINGS}

# In these statuses a run waits for no calls, even if it still has an old `required_action`.
_NOT_WAITING = ENDED | {QUEUED, IN_PROGRESS, CANCELLING}

_DOCUMENTED = Documented(
    statuses=_NOT_WAITING | {REQUIRES_ACTION},
    completed=COMPLETED,
    fields=("object", "thread_id", "assistant_id", "model", "created_at"),
    stamps=("created_at", "started_at", "expires_at", "completed_at", "cancelled_at", "failed_at"),
    ends=("completed_at",),
    objects=("metadata", "required_action", "last_error", "incomplete_details", "usage"),
    error="last_error",
    error_codes=frozenset({"server_error", "rate_limit_exceeded", "invalid_prompt"}),
    actions=frozenset({"submit_tool_outputs"}),
)


class Glance(TypedDict, total=False):
    """The fields of a run that change during its life, as sent."""

    id: str
    status: str
    started_at: Any
    expires_at: Any
    completed_at: Any
    cancelled_at: Any
    failed_at: Any
    required_action: Any
    last_error: Any
    usage: Any
    incomplete_details: Any
    metadata: Any


_glances = TypeAdapter(Glance)


def glance(body: bytes) -> Glance:
    """Returns the tracked fields of a run's body, as sent. Raises PayloadError."""
    try:
        return _glances.validate_json(body)
    except ValidationError:
        document = decode(body)
    try:
        return _glances.validate_python(document)
    except ValidationError as error:
        reason = describe_errors(error)
    raise PayloadError(f"not a run: {reason}")


def run_snapshot(
    body: bytes | Mapping[str, Any] | Run,
    source: str,
    *,
    observed_at: datetime,
    asked_at: datetime | None = None,
    unchanged_until: datetime | None = None,
) -> RunSnapshot:
    """Returns a run as a snapshot. Raises PayloadError naming the missing or wrong fields.

    `expired` and `incomplete` have no stamp of their own: services send their time in another.
    """
    document = body.body if isinstance(body, Run) else decode(body)
    run = body if isinstance(body, Run) else validate(Run, document, "a run")
    calls = _tool_calls(run)
    lacks_calls = run.status == REQUIRES_ACTION and not calls
    ended_at = run.completed_at or run.failed_at or run.cancelled_at
    details = run.incomplete_details
    fields = {
        "source": source,
        "run_id": run.id,
        "observed_at": observed_at,
        "asked_at": asked_at,
        "unchanged_until": unchanged_until,
        "status": run.status,
        "thread_id": run.thread_id,
        "assistant_id": run.assistant_id,
        "model": run.model,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "expires_at": run.expires_at,
        "ended_at": ended_at if is_ended(run.status) else None,
        "tool_calls": calls,
        "usage": _usage(run.usage),
        "error": run_error(run.last_error),
        "incomplete_reason": details.reason if details else None,
        "metadata": run.metadata or {},
        "configuration": _configuration(run),
        "peculiarities": peculiarities(document, _DOCUMENTED, lacks_calls=lacks_calls),
    }
    return validate(RunSnapshot, fields, "a run that can be tracked")


def is_run(body: Mapping[str, Any]) -> bool:
    """True if a document of unknown origin is a run.

    Look-alikes leave `object` out, or call it `run`; then an id, a status and a thread make one.
    """
    object_type = body.get("object")
    if object_type in (None, "run"):
        return {"id", "status", "thread_id"} <= body.keys() and "run_id" not in body
    return bool(object_type == RUN_OBJECT)


def step_snapshot(body: bytes | Mapping[str, Any] | RunStep) -> StepSnapshot:
    """Returns a step as a snapshot. Raises PayloadError naming the missing or wrong fields."""
    step = body if isinstance(body, RunStep) else validate(RunStep, decode(body), "a step")
    details = step.step_details
    calls = (details.tool_calls if details else None) or []
    ended_at = step.completed_at or step.failed_at or step.cancelled_at or step.expired_at
    fields = {
        "step_id": step.id,
        "type": step.type or (details.type if details else None) or "unknown",
        "status": step.status,
        "tools": tuple(
            (call.function.name if call.function else None) or call.type or "unknown"
            for call in calls
        ),
        "tool_call_ids": tuple(call.id for call in calls if call.id),
        "created_at": step.created_at,
        "ended_at": ended_at if is_ended(step.status) else None,
        "usage": _usage(step.usage),
        "error": run_error(step.last_error),
    }
    return validate(StepSnapshot, fields, "a step that can be tracked")


def _tool_calls(run: Run) -> tuple[ToolCall, ...]:
    if run.required_action is None or run.status in _NOT_WAITING:
        return ()
    action = run.required_action.model_dump(exclude_unset=True)
    return tuple(_tool_call(number, call) for number, call in enumerate(_calls(action), start=1))


def _calls(action: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the calls of any type of action: in `tool_calls`, else in its first list."""
    contents = [value for value in action.values() if isinstance(value, dict)]
    lists = [content.get("tool_calls") for content in contents]
    lists += [value for content in [action, *contents] for value in content.values()]
    found = next((entry for entry in lists if isinstance(entry, list)), [])
    yield from objects_in(found)


def _tool_call(number: int, call: dict[str, Any]) -> ToolCall:
    call_type = text_of(call.get("type")) or "function"
    own = call.get(call_type)
    content = own if isinstance(own, dict) else call
    arguments = content.get("arguments")
    if arguments is None and content is own:
        arguments = {key: value for key, value in own.items() if key not in ("name", "output")}
    return ToolCall(
        # A call without an id is identified by its place.
        id=text_of(call.get("id")) or text_of(call.get("tool_call_id")) or f"call {number}",
        type=call_type,
        name=text_of(content.get("name")),
        arguments=text_of(arguments) if arguments or arguments == "" else None,
    )


def _usage(sent: TokenUsage | None) -> Usage | None:
    if sent is None:
        return None
    cached, reasoning = sent.prompt_token_details, sent.completion_tokens_details
    cached = cached or sent.prompt_tokens_details
    return counted(
        prompt_tokens=sent.prompt_tokens,
        completion_tokens=sent.completion_tokens,
        total_tokens=sent.total_tokens,
        cached_tokens=cached.cached_tokens if cached else None,
        reasoning_tokens=reasoning.reasoning_tokens if reasoning else None,
    )


def _configuration(run: Run) -> Configuration | None:
    if not run.model_fields_set & _CONFIGURATION:
        return None
    settings = run.model_dump(include=_SETTINGS, exclude_unset=True)
    return Configuration(
        instructions=run.instructions,
        tools=None
        if run.tools is None
        else tuple(tool.model_dump(exclude_unset=True) for tool in run.tools),
        settings={name: value for name, value in settings.items() if value is not None},
    )


FORMAT = PayloadFormat(Api.assistants, is_run, glance, run_snapshot)
