"""From what a Responses service sends to what the core knows. Pure.

A response that completed with calls whose outputs are not in it requires an action: the caller
runs them and sends their outputs with another response, which goes on from this one. The service
shows this one as completed all the while, so it is the other that ends the wait.
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
from tracker.sources.documents import decode, document_in, objects_in, read
from tracker.sources.peculiarities import Documented, peculiarities
from tracker.sources.stamps import Stamp
from tracker.sources.wire import (
    Answered,
    Error,
    Incomplete,
    Object,
    Wire,
    counted,
    failure,
    object_or_none,
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
_GLANCED = (
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
    """What the tokens of one direction include."""

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


class Response(Answered):
    """A response. `output` is what it has brought so far; all but `id` and `status` may lack."""

    id: str
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
    """The tracked fields of a response's body, as sent. Raises PayloadError for no object."""
    document, _ = decode(body)
    seen = {name: document[name] for name in _GLANCED if name in document}
    if document.get("status") == COMPLETED:
        seen["waiting"] = [call.id for call in waiting_calls(document.get("output"))]
    return seen


def response_snapshot(
    body: bytes | Mapping[str, Any] | Response,
    source: str,
    *,
    observed_at: datetime,
    asked_at: datetime | None = None,
    unchanged_until: datetime | None = None,
) -> RunSnapshot:
    """A response as a snapshot. Raises PayloadError naming the field that keeps it from being one.

    Its thread is its conversation, None where it is in none. Its assistant is the agent or the
    stored prompt that it was made with.
    """
    document = body.body if isinstance(body, Response) else document_in(body)
    response = body if isinstance(body, Response) else read(Response, document, "a response")
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
        "thread_id": _named(response.conversation, "id"),
        "assistant_id": _named(response.agent, "id", "name") or _named(response.prompt, "id"),
        "model": response.model,
        "created_at": response.created_at,
        "ended_at": ended_at if response.status in ENDED else None,
        "tool_calls": calls,
        "usage": usage_of(response.usage),
        "error": failure(response.error),
        "incomplete_reason": details.reason if details else None,
        "metadata": response.metadata or {},
        "configuration": _configuration(response),
        "continues": response.previous_response_id or None,
        "stays_waiting": bool(calls),
        "peculiarities": peculiarities(document, _DOCUMENTED, lacks_calls=False),
    }
    return read(RunSnapshot, fields, "a response that can be tracked")


def waiting_calls(output: object) -> Iterator[ToolCall]:
    """The calls in an output that wait for their caller: no output of theirs is in it.

    Calls that a service runs itself have no `call_id`, or say that it is the server who runs them.
    """
    items = objects_in(output)
    answered = {
        text_of(item.get("call_id") or item.get("approval_request_id"))
        for item in items
        if str(item.get("type")).endswith(("_output", "_response"))
    }
    for item in items:
        kind = str(item.get("type"))
        place = text_of(item.get("id" if kind == "mcp_approval_request" else "call_id"))
        calls = kind == "mcp_approval_request" or kind.endswith("_call")
        if calls and place and place not in answered and item.get("execution") != "server":
            yield ToolCall(
                id=place,
                type="function" if kind == "function_call" else kind,
                name=text_of(item.get("name")),
                arguments=text_of(_content(item)),
            )


def answers_in(items: object) -> list[str]:
    """The ids of the calls that the input of a new response answers."""
    ids = (item.get("call_id") or item.get("approval_request_id") for item in objects_in(items))
    return [str(place) for place in ids if place]


def usage_of(sent: DirectedTokens | None) -> Usage | None:
    """Tokens in and out as a usage. Raises PayloadError for what cannot be counted."""
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
    """Whether a document of unknown origin has this shape."""
    return bool(body.get("object") == RESPONSE_OBJECT)


def _named(value: object, *names: str) -> str | None:
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
    return read(
        Configuration,
        {
            "instructions": text_of(response.instructions),
            "tools": None if tools is None else tuple(tools),
            "settings": {name: value for name, value in settings.items() if value is not None},
        },
        "a configuration",
    )
