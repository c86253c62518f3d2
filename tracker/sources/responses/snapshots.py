"""Mapping of responses of a Responses service to snapshots.

A response that completed with calls whose outputs are not in it requires an action: the caller
runs them and sends their outputs with another response, which continues this one. The service
keeps reporting this one as completed, so only the other one shows the end of the wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from tracker.core.snapshot import RunSnapshot, ToolCall
from tracker.core.status import (
    CANCELLED,
    COMPLETED,
    ENDED,
    FAILED,
    IN_PROGRESS,
    INCOMPLETE,
    QUEUED,
    REQUIRES_ACTION,
)
from tracker.sources.configurations import read_configuration
from tracker.sources.documents import decode, objects_in, pick, validate
from tracker.sources.fields import Fields, text_of
from tracker.sources.payload_format import Api, PayloadFormat
from tracker.sources.peculiarities import Documented, peculiarities
from tracker.sources.usages import read_usage
from tracker.sources.wire import Answered, check_identity, document_of

RESPONSE_OBJECT = "response"

_SETTINGS = (
    "temperature",
    "top_p",
    "max_output_tokens",
    "max_tool_calls",
    "parallel_tool_calls",
    "reasoning",
    "text",
    "tool_choice",
    "truncation",
)
_DOCUMENTED = Documented(
    statuses=frozenset({QUEUED, IN_PROGRESS, COMPLETED, FAILED, CANCELLED, INCOMPLETE}),
    completed=COMPLETED,
    fields=("object", "model", "created_at", "output"),
    stamps=("created_at", "completed_at"),
    ends=("completed_at",),
    objects=("metadata", "error", "incomplete_details", "usage"),
)
_TRACKED = (
    "id",
    "status",
    "completed_at",
    "failed_at",
    "cancelled_at",
    "service_tier",
    "usage",
    "error",
    "incomplete_details",
    "metadata",
    "previous_response_id",
)


def glance(body: bytes) -> dict[str, Any]:
    """Returns the tracked fields of a response's body, as sent. Raises PayloadError."""
    document = decode(body)
    tracked = pick(document, _TRACKED)
    if document.get("status") == COMPLETED:
        tracked["waiting"] = [call.id for call in waiting_calls(document.get("output"))]
    return tracked


def response_snapshot(
    body: bytes | Mapping[str, Any] | Answered,
    source: str,
    *,
    observed_at: datetime,
    asked_at: datetime | None = None,
    unchanged_until: datetime | None = None,
) -> RunSnapshot:
    """Returns a response as a snapshot. Raises PayloadError for one without an id or a status.

    Its thread is its conversation, None if it has none. Its assistant is the agent or the stored
    prompt that it was made with.
    """
    document = document_of(body)
    check_identity(document, "a response")
    fields, status = Fields(document), document["status"]
    output = fields.list("output")
    # One that is not stored cannot be continued: nobody will ever answer its calls.
    may_wait = status == COMPLETED and document.get("store") is not False
    calls = tuple(waiting_calls(output)) if may_wait else ()
    if output and not all(isinstance(item, dict) for item in output):
        fields.found.add("unreadable_output")
    ends = [fields.stamp(name) for name in ("completed_at", "failed_at", "cancelled_at")]
    usage = read_usage(fields)
    agent, prompt = fields.named("agent", "id", "name"), fields.named("prompt", "id")
    values = {
        "source": source,
        "run_id": document["id"],
        "observed_at": observed_at,
        "asked_at": asked_at,
        "unchanged_until": unchanged_until,
        "status": REQUIRES_ACTION if calls else status,
        "thread_id": fields.named("conversation", "id"),
        "assistant_id": agent or prompt,
        "model": fields.text("model"),
        "service_tier": fields.text("service_tier"),
        "created_at": fields.stamp("created_at"),
        "ended_at": next(filter(None, ends), None) if status in ENDED else None,
        "tool_calls": calls,
        "usage": usage,
        "error": fields.error("error"),
        "incomplete_reason": fields.reason("incomplete_details"),
        "metadata": fields.metadata(),
        # The instructions of a response may be a list.
        "configuration": read_configuration(
            fields, text_of(document.get("instructions")), _SETTINGS
        ),
        "continues": fields.identifier("previous_response_id"),
        "stays_waiting": bool(calls),
        "peculiarities": fields.found | peculiarities(document, _DOCUMENTED, usage),
    }
    return validate(RunSnapshot, values, "a response that can be tracked")


def waiting_calls(output: object) -> Iterator[ToolCall]:
    """Yields the calls in an output that have no output yet.

    Calls that a service runs itself have no `call_id`, or `execution` is "server".
    """
    items = objects_in(output)
    answered = {
        text_of(item.get("call_id") or item.get("approval_request_id"))
        for item in items
        if str(item.get("type")).endswith(("_output", "_response"))
    }
    for item in items:
        item_type = str(item.get("type"))
        is_approval = item_type == "mcp_approval_request"
        call_id = text_of(item.get("id" if is_approval else "call_id"))
        is_call = is_approval or item_type.endswith("_call")
        if is_call and call_id and call_id not in answered and item.get("execution") != "server":
            yield ToolCall(
                id=call_id,
                type="function" if item_type == "function_call" else item_type,
                name=text_of(item.get("name")),
                arguments=text_of(_content(item)),
            )


def answers_in(items: object) -> list[str]:
    """Returns the ids of the calls that the input of a new response answers."""
    ids = (item.get("call_id") or item.get("approval_request_id") for item in objects_in(items))
    return [str(call_id) for call_id in ids if call_id]


def is_response(body: Mapping[str, Any]) -> bool:
    """True if a document of unknown origin is a response."""
    return bool(body.get("object") == RESPONSE_OBJECT)


def _content(item: dict[str, Any]) -> object:
    names = ("arguments", "input", "actions", "action", "operation")
    # A call for several actions may also have their first one, or an empty field, beside them.
    named = [it for name in names if (it := item.get(name)) is not None]
    return next((it for it in named if it != []), next(iter(named), None))


FORMAT = PayloadFormat(Api.responses, is_response, glance, response_snapshot)
