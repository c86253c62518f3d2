"""Mapping of runs and steps of an Assistants service to snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from tracker.core.snapshot import RunSnapshot, StepSnapshot, ToolCall
from tracker.core.status import (
    CANCELLING,
    COMPLETED,
    ENDED,
    IN_PROGRESS,
    QUEUED,
    REQUIRES_ACTION,
    is_ended,
)
from tracker.errors import PayloadError
from tracker.sources.configurations import read_configuration
from tracker.sources.documents import decode, describe_errors, validate
from tracker.sources.fields import Fields, read_calls, text_of
from tracker.sources.payload_format import Api, PayloadFormat
from tracker.sources.peculiarities import Documented, peculiarities
from tracker.sources.usages import read_usage
from tracker.sources.wire import Answered, check_identity, document_of

RUN_OBJECT = "thread.run"
STEP_OBJECT = "thread.run.step"

# Not the model: that is a column of its own.
_SETTINGS = (
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
)

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
    service_tier: Any
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
    body: bytes | Mapping[str, Any] | Answered,
    source: str,
    *,
    observed_at: datetime,
    asked_at: datetime | None = None,
    unchanged_until: datetime | None = None,
) -> RunSnapshot:
    """Returns a run as a snapshot. Raises PayloadError for one without an id or a status.

    `expired` and `incomplete` have no stamp of their own: services send their time in another.
    """
    document = document_of(body)
    check_identity(document, "a run")
    fields, status = Fields(document), document["status"]
    calls = _tool_calls(fields, status)
    ends = [fields.stamp(name) for name in ("completed_at", "failed_at", "cancelled_at")]
    usage = read_usage(fields)
    values = {
        "source": source,
        "run_id": document["id"],
        "observed_at": observed_at,
        "asked_at": asked_at,
        "unchanged_until": unchanged_until,
        "status": status,
        "thread_id": fields.text("thread_id"),
        "assistant_id": fields.text("assistant_id"),
        "model": fields.text("model"),
        "service_tier": fields.text("service_tier"),
        "created_at": fields.stamp("created_at"),
        "started_at": fields.stamp("started_at"),
        "expires_at": fields.stamp("expires_at"),
        "ended_at": next(filter(None, ends), None) if is_ended(status) else None,
        "tool_calls": calls,
        "usage": usage,
        "error": fields.error("last_error"),
        "incomplete_reason": fields.reason("incomplete_details"),
        "metadata": fields.metadata(),
        "configuration": read_configuration(fields, fields.prose("instructions"), _SETTINGS),
        "peculiarities": fields.found
        | peculiarities(
            document, _DOCUMENTED, usage, lacks_calls=status == REQUIRES_ACTION and not calls
        ),
    }
    return validate(RunSnapshot, values, "a run that can be tracked")


def is_run(body: Mapping[str, Any]) -> bool:
    """True if a document of unknown origin is a run.

    Look-alikes leave `object` out, or call it `run`; then an id, a status and a thread make one.
    """
    object_type = body.get("object")
    if object_type in (None, "run"):
        return {"id", "status", "thread_id"} <= body.keys() and "run_id" not in body
    return bool(object_type == RUN_OBJECT)


def step_snapshot(body: bytes | Mapping[str, Any] | Answered) -> StepSnapshot:
    """Returns a step as a snapshot. Raises PayloadError for one without an id or a status."""
    document = document_of(body)
    check_identity(document, "a step")
    fields, status = Fields(document), document["status"]
    details = fields.part("step_details")
    calls = [Fields(it, fields.found) for it in read_calls(fields, details.document, "tool_calls")]
    ends = [
        fields.stamp(name) for name in ("completed_at", "failed_at", "cancelled_at", "expired_at")
    ]
    values = {
        "step_id": document["id"],
        "type": fields.text("type") or details.text("type") or "unknown",
        "status": status,
        "tools": tuple(_tool_of(call) for call in calls),
        "tool_call_ids": tuple(call_id for call in calls if (call_id := call.text("id"))),
        "created_at": fields.stamp("created_at"),
        "ended_at": next(filter(None, ends), None) if is_ended(status) else None,
        "usage": read_usage(fields),
        "error": fields.error("last_error"),
        "peculiarities": fields.found,
    }
    return validate(StepSnapshot, values, "a step that can be tracked")


def _tool_of(call: Fields) -> str:
    function = call.document.get("function")
    name = Fields(function, call.found).text("name") if isinstance(function, Mapping) else None
    return name or call.text("type") or "unknown"


def _tool_calls(fields: Fields, status: str) -> tuple[ToolCall, ...]:
    if status in _NOT_WAITING:
        return ()
    action = fields.document.get("required_action")
    if not isinstance(action, list) or not action:
        action = fields.object("required_action") or {}
    return tuple(
        _tool_call(number, call) for number, call in enumerate(_calls(fields, action), start=1)
    )


def _calls(fields: Fields, action: Mapping[str, Any] | list[Any]) -> list[dict[str, Any]]:
    """Returns the calls of any type of action: in `tool_calls`, else in its first list."""
    if isinstance(action, list):
        return read_calls(fields, {"tool_calls": action}, "tool_calls")
    contents = [action, *(value for value in action.values() if isinstance(value, dict))]
    named = [content for content in contents if content.get("tool_calls")]
    if named:
        return read_calls(fields, named[0], "tool_calls")
    lists = [it for content in contents for it in content.values() if isinstance(it, list)]
    return read_calls(fields, {"tool_calls": lists[0]}, "tool_calls") if lists else []


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


FORMAT = PayloadFormat(Api.assistants, is_run, glance, run_snapshot)
