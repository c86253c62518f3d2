"""JSON bodies of recorded runs, as their service would have shown them at a moment."""

from __future__ import annotations

from datetime import datetime
from itertools import zip_longest
from typing import Any

from tracker.core.snapshot import RunError, ToolCall
from tracker.core.status import CANCELLED, COMPLETED, FAILED, IN_PROGRESS, REQUIRES_ACTION
from tracker.core.usage import Usage
from tracker.simulator.model.identifiers import make_id
from tracker.simulator.model.recorded_run import RecordedRun, RecordedState, RecordedStep

_END_STAMPS = {FAILED: "failed_at", CANCELLED: "cancelled_at"}
_BUILT_IN_TOOLS = frozenset(("code_interpreter", "file_search", "retrieval"))
_LIFETIMES = ("5m", "30m", "1h", "12h")


def recorded_run_body(run: RecordedRun, shown: RecordedState) -> dict[str, Any]:
    """Returns the body of a run of the Assistants API."""
    state = shown.state
    waits = state.status == REQUIRES_ACTION
    calls = {"tool_calls": [_call_body(it) for it in state.tool_calls]}
    return {
        "id": run.run_id,
        "object": "thread.run",
        "created_at": _seconds(state.created_at) or int(run.created_at),
        "assistant_id": state.assistant_id,
        "thread_id": state.thread_id,
        "status": state.status,
        "started_at": _seconds(state.started_at),
        "expires_at": None if state.is_ended else _seconds(state.expires_at),
        **dict.fromkeys(("completed_at", "failed_at", "cancelled_at")),
        **_end_stamp(shown),
        "required_action": {"type": "submit_tool_outputs", "submit_tool_outputs": calls}
        if waits
        else None,
        "last_error": _error_body(state.error),
        "model": state.model,
        "usage": _usage_body(state.usage, "prompt", "completion"),
        **_common_fields(run, shown),
    }


def recorded_response_body(run: RecordedRun, shown: RecordedState) -> dict[str, Any]:
    """Returns the body of a response; one that made calls stays completed with them."""
    state = shown.state
    status, stamps = state.status, _end_stamp(shown)
    output: list[dict[str, Any]] = []
    if shown.calls and status in (REQUIRES_ACTION, COMPLETED):
        # The service never tells that the calls were answered: only the next response does.
        status, stamps = COMPLETED, {"completed_at": _seconds(shown.stopped_at)}
        output = [_item_body(it) for it in shown.calls]
    return {
        "id": run.run_id,
        "object": "response",
        "created_at": _seconds(state.created_at) or int(run.created_at),
        "status": status,
        "background": True,
        "completed_at": None,
        **stamps,
        "error": _error_body(state.error),
        "model": state.model,
        "output": output,
        "conversation": {"id": state.thread_id} if state.thread_id else None,
        "prompt": {"id": state.assistant_id} if state.assistant_id else None,
        "previous_response_id": run.continues,
        "store": True,
        "usage": _usage_body(state.usage, "input", "output"),
        **_common_fields(run, shown),
    }


def recorded_step_body(run: RecordedRun, step: RecordedStep, now: float) -> dict[str, Any]:
    """Returns the body of a step."""
    event, state = step.event, run.states[-1].state
    is_over = step.ends <= now
    status = event.status if is_over else IN_PROGRESS
    details: dict[str, Any] = {"type": event.type}
    if event.tools or event.tool_call_ids:
        pairs = zip_longest(event.tools, event.tool_call_ids)
        details["tool_calls"] = [_step_call_body(tool, call_id) for tool, call_id in pairs]
    stamp = {"failed": "failed_at", "cancelled": "cancelled_at", "expired": "expired_at"}
    return {
        "id": event.step_id,
        "object": "thread.run.step",
        "created_at": _seconds(event.created_at),
        "run_id": run.run_id,
        "assistant_id": state.assistant_id,
        "thread_id": state.thread_id,
        "type": event.type,
        "status": status,
        **({stamp.get(status, "completed_at"): _seconds(event.ended_at)} if is_over else {}),
        "last_error": _error_body(event.error) if is_over else None,
        "step_details": details,
        "usage": _usage_body(event.usage, "prompt", "completion") if is_over else None,
    }


def _common_fields(run: RecordedRun, shown: RecordedState) -> dict[str, Any]:
    state = shown.state
    reason = state.incomplete_reason
    fields: dict[str, Any] = {"incomplete_details": {"reason": reason} if reason else None}
    if run.has_metadata or state.metadata:
        fields["metadata"] = state.metadata
    tier = (state.usage and state.usage.service_tier) or run.service_tier
    if tier is not None:
        fields["service_tier"] = tier
    if run.configuration is not None:
        fields |= run.configuration.settings
        fields["instructions"] = run.configuration.instructions
        if run.configuration.tools is not None:
            fields["tools"] = list(run.configuration.tools)
    return fields


def _end_stamp(shown: RecordedState) -> dict[str, Any]:
    state = shown.state
    if not state.is_ended:
        return {}
    return {_END_STAMPS.get(state.status or "", "completed_at"): _seconds(state.ended_at)}


def _seconds(moment: datetime | None) -> float | None:
    if moment is None:
        return None
    stamp = moment.timestamp()
    return int(stamp) if stamp.is_integer() else stamp


def _call_body(call: ToolCall) -> dict[str, Any]:
    content = {"name": call.name, "arguments": call.arguments}
    known = {name: it for name, it in content.items() if it is not None}
    return {"id": call.id, "type": call.type, call.type: known}


def _item_body(call: ToolCall) -> dict[str, Any]:
    if call.type == "mcp_approval_request":
        return {
            "type": call.type,
            "id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }
    item_type = "function_call" if call.type == "function" else call.type
    item = {
        "type": item_type,
        "id": make_id("item", call.id),
        "call_id": call.id,
        "status": "completed",
        "name": call.name,
        "arguments": call.arguments,
    }
    return {name: it for name, it in item.items() if it is not None}


def _step_call_body(tool: str | None, call_id: str | None) -> dict[str, Any]:
    is_built_in = tool is None or tool in _BUILT_IN_TOOLS
    kind = (tool or "function") if is_built_in else "function"
    content = {} if is_built_in else {"name": tool, "arguments": "{}", "output": None}
    return {"id": call_id, "type": kind, kind: content}


def _error_body(error: RunError | None) -> dict[str, Any] | None:
    return None if error is None else {"code": error.code, "message": error.message}


def _usage_body(usage: Usage | None, prompt: str, completion: str) -> dict[str, Any] | None:
    if usage is None:
        return None
    lifetimes = {
        f"ttl_{it}_tokens": getattr(usage, f"cache_write_{it}_tokens") for it in _LIFETIMES
    }
    inside = {
        "cached_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_tokens_details": _known(lifetimes) or None,
    }
    body = {
        f"{prompt}_tokens": usage.prompt_tokens,
        f"{completion}_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        f"{prompt}_tokens_details": _known(inside) or None,
        f"{completion}_tokens_details": _known({"reasoning_tokens": usage.reasoning_tokens})
        or None,
        "service_tier": usage.service_tier,
    }
    return _known(body)


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: it for name, it in fields.items() if it is not None}
