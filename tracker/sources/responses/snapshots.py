"""Mapping of responses of a Responses service to snapshots.

A response that completed with calls whose outputs are not in it requires an action: the caller
runs them and sends their outputs with another response, which continues this one. The service
keeps reporting this one as completed, so only the other one shows the end of the wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator

from tracker.core.snapshot import Configuration, RunSnapshot, ToolCall
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
from tracker.core.usage import Usage
from tracker.sources.documents import decode, objects_in, pick, validate
from tracker.sources.payload_format import Api, PayloadFormat
from tracker.sources.peculiarities import Documented, peculiarities
from tracker.sources.stamps import Stamp
from tracker.sources.wire import (
    Entity,
    Error,
    Incomplete,
    Object,
    Wire,
    counted,
    object_or_none,
    run_error,
    text_of,
)

RESPONSE_OBJECT = "response"

_SETTINGS = {
    "temperature",
    "top_p",
    "max_output_tokens",
    "max_tool_calls",
    "parallel_tool_calls",
    "reasoning",
    "text",
    "tool_choice",
    "truncation",
}
_CONFIGURATION = {"instructions", "tools", *_SETTINGS}
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
    "usage",
    "error",
    "incomplete_details",
    "metadata",
    "previous_response_id",
)


class TokenDetails(Wire):
    """Parts of the tokens of one direction."""

    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class DirectedTokens(Wire):
    """Tokens in and out; some look-alikes name them as Assistants services do."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens_details: TokenDetails | None = None
    output_tokens_details: TokenDetails | None = None


Tokens = Annotated[DirectedTokens | None, BeforeValidator(object_or_none)]


class Response(Entity):
    """A response with its output so far; all fields but `id` and `status` may be missing."""

    object: str | None = None
    status: str
    created_at: Stamp = None
    completed_at: Stamp = None
    failed_at: Stamp = None
    cancelled_at: Stamp = None
    background: bool | None = None
    model: str | None = None
    output: list[Any] | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    agent: Any = None
    prompt: Any = None
    instructions: Any = None
    tools: list[Any] | None = None
    error: Error = None
    incomplete_details: Incomplete = None
    usage: Tokens = None
    metadata: Object = None
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Any = None
    text: Any = None
    tool_choice: Any = None
    truncation: Any = None


def glance(body: bytes) -> dict[str, Any]:
    """Returns the tracked fields of a response's body, as sent. Raises PayloadError."""
    document = decode(body)
    tracked = pick(document, _TRACKED)
    if document.get("status") == COMPLETED:
        tracked["waiting"] = [call.id for call in waiting_calls(document.get("output"))]
    return tracked


def response_snapshot(
    body: bytes | Mapping[str, Any] | Response,
    source: str,
    *,
    observed_at: datetime,
    asked_at: datetime | None = None,
    unchanged_until: datetime | None = None,
) -> RunSnapshot:
    """Returns a response as a snapshot. Raises PayloadError naming the missing or wrong fields.

    Its thread is its conversation, None if it has none. Its assistant is the agent or the stored
    prompt that it was made with.
    """
    document = body.body if isinstance(body, Response) else decode(body)
    response = body if isinstance(body, Response) else validate(Response, document, "a response")
    calls = tuple(waiting_calls(response.output)) if response.status == COMPLETED else ()
    ended_at = response.completed_at or response.failed_at or response.cancelled_at
    details = response.incomplete_details
    fields = {
        "source": source,
        "run_id": response.id,
        "observed_at": observed_at,
        "asked_at": asked_at,
        "unchanged_until": unchanged_until,
        "status": REQUIRES_ACTION if calls else response.status,
        "thread_id": _id_of(response.conversation, "id"),
        "assistant_id": _id_of(response.agent, "id", "name") or _id_of(response.prompt, "id"),
        "model": response.model,
        "created_at": response.created_at,
        "ended_at": ended_at if response.status in ENDED else None,
        "tool_calls": calls,
        "usage": usage_of(response.usage),
        "error": run_error(response.error),
        "incomplete_reason": details.reason if details else None,
        "metadata": response.metadata or {},
        "configuration": _configuration(response),
        "continues": response.previous_response_id or None,
        "stays_waiting": bool(calls),
        "peculiarities": peculiarities(document, _DOCUMENTED, lacks_calls=False),
    }
    return validate(RunSnapshot, fields, "a response that can be tracked")


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


def usage_of(sent: DirectedTokens | None) -> Usage | None:
    """Returns tokens in and out as a usage. Raises PayloadError for invalid counts."""
    if sent is None:
        return None
    into, out = sent.input_tokens, sent.output_tokens
    cached, reasoning = sent.input_tokens_details, sent.output_tokens_details
    return counted(
        prompt_tokens=sent.prompt_tokens if into is None else into,
        completion_tokens=sent.completion_tokens if out is None else out,
        total_tokens=sent.total_tokens,
        cached_tokens=cached.cached_tokens if cached else None,
        reasoning_tokens=reasoning.reasoning_tokens if reasoning else None,
    )


def is_response(body: Mapping[str, Any]) -> bool:
    """True if a document of unknown origin is a response."""
    return bool(body.get("object") == RESPONSE_OBJECT)


def _id_of(value: object, *names: str) -> str | None:
    if isinstance(value, dict):
        value = next((value[name] for name in names if value.get(name)), None)
    return value if isinstance(value, str) and value else None


def _content(item: dict[str, Any]) -> object:
    named = (item[name] for name in ("arguments", "input", "action", "operation") if name in item)
    return next(named, None)


def _configuration(response: Response) -> Configuration | None:
    if not response.model_fields_set & _CONFIGURATION:
        return None
    settings = response.model_dump(include=_SETTINGS, exclude_unset=True)
    tools = response.tools
    return validate(
        Configuration,
        {
            "instructions": text_of(response.instructions),
            "tools": None if tools is None else tuple(tools),
            "settings": {name: value for name, value in settings.items() if value is not None},
        },
        "a configuration",
    )


FORMAT = PayloadFormat(Api.responses, is_response, glance, response_snapshot)
