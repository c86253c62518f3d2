"""JSON bodies of the simulated service at a given time (unix seconds)."""

from __future__ import annotations

from typing import Any, Literal

from tracker.core.status import (
    CANCELLED,
    COMPLETED,
    EXPIRED,
    FAILED,
    IN_PROGRESS,
    INCOMPLETE,
)
from tracker.simulator.model.catalogue import REPLIES
from tracker.simulator.model.identifiers import stable_hash
from tracker.simulator.model.records import AssistantRecord, MessageRecord, RunRecord, ThreadRecord
from tracker.simulator.model.run_life import Life, Step

Version = Literal["v1", "v2"]

ERRORS = {
    "rate_limit_exceeded": "Rate limit is exceeded. Try again in 35 seconds.",
    "server_error": "Sorry, something went wrong.",
}


def run_body(run: RunRecord, life: Life, now: float, version: Version = "v2") -> dict[str, Any]:
    """Returns the body of a run."""
    moment = life.at(now)
    status, ended_at = moment.status, moment.ended_at
    action = life.find_action(now)
    tokens = life.tokens if ended_at is not None else None
    settings = run.settings
    instructions = settings.get("instructions") or "Be brief, and use the tools."
    if settings.get("additional_instructions"):
        instructions = f"{instructions}\n{settings['additional_instructions']}"

    body: dict[str, Any] = {
        "id": run.id,
        "object": "thread.run",
        "created_at": int(run.created_at),
        "assistant_id": run.assistant_id,
        "thread_id": run.thread_id,
        "status": COMPLETED if version == "v1" and status == INCOMPLETE else status,
        "started_at": _seconds(moment.started_at),
        "expires_at": int(life.expires_at) if ended_at is None else None,
        "cancelled_at": _seconds(ended_at if status == CANCELLED else None),
        "failed_at": _seconds(ended_at if status == FAILED else None),
        "completed_at": _seconds(ended_at if status in (COMPLETED, INCOMPLETE, EXPIRED) else None),
        "required_action": _required_action(action) if action else None,
        "last_error": _last_error(life) if status == FAILED else None,
        "model": run.model,
        "instructions": instructions,
        "tools": _tools(run.tools, version),
        "metadata": dict(run.metadata),
        "temperature": settings.get("temperature", 1.0),
        "top_p": settings.get("top_p", 1.0),
        "max_completion_tokens": settings.get("max_completion_tokens"),
        "max_prompt_tokens": settings.get("max_prompt_tokens"),
        "truncation_strategy": settings.get("truncation_strategy")
        or {"type": "auto", "last_messages": None},
        "incomplete_details": {"reason": life.plan.reason} if status == INCOMPLETE else None,
        "usage": tokens.to_run_usage() if tokens else None,
        "response_format": settings.get("response_format", "auto"),
        "tool_choice": settings.get("tool_choice", "auto"),
        "parallel_tool_calls": settings.get("parallel_tool_calls", True),
    }
    if version == "v1":
        body["file_ids"] = []
    else:
        body["tool_resources"] = settings.get("tool_resources") or {}
        body["reasoning_effort"] = settings.get("reasoning_effort")
    return body


def step_body(run: RunRecord, life: Life, step: Step, now: float) -> dict[str, Any]:
    """Returns the body of a step."""
    ended = step.ended_at <= now
    status = step.status if ended else IN_PROGRESS
    tokens = step.tokens if ended else None
    return {
        "id": step.planned.id,
        "object": "thread.run.step",
        "created_at": int(step.created_at),
        "run_id": run.id,
        "assistant_id": run.assistant_id,
        "thread_id": run.thread_id,
        "type": step.planned.type,
        "status": status,
        "cancelled_at": int(step.ended_at) if status == CANCELLED else None,
        "completed_at": int(step.ended_at) if status == COMPLETED else None,
        "expires_at": None if ended else int(life.expires_at),
        "expired_at": int(step.ended_at) if status == EXPIRED else None,
        "failed_at": int(step.ended_at) if status == FAILED else None,
        "last_error": _last_error(life) if status == FAILED else None,
        "step_details": _step_details(run, step, answered=status == COMPLETED),
        "metadata": None,
        "usage": tokens.to_run_usage() if tokens else None,
    }


def thread_body(thread: ThreadRecord) -> dict[str, Any]:
    """Returns the body of a thread."""
    return {
        "id": thread.id,
        "object": "thread",
        "created_at": int(thread.created_at),
        "metadata": dict(thread.metadata),
        "tool_resources": {},
    }


def message_body(message: MessageRecord) -> dict[str, Any]:
    """Returns the body of a client's message."""
    content = message.content
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    created_at = int(message.created_at)
    return {
        "id": message.id,
        "object": "thread.message",
        "created_at": created_at,
        "thread_id": message.thread_id,
        "status": "completed",
        "completed_at": created_at,
        "incomplete_at": None,
        "incomplete_details": None,
        "assistant_id": None,
        "run_id": None,
        "role": message.role,
        "content": [_sent_part(part) for part in parts],
        "attachments": [],
        "metadata": dict(message.metadata),
    }


def _sent_part(part: Any) -> Any:
    """Returns a part of a message as it is sent: a text of the request becomes an object."""
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return {**part, "text": {"value": part["text"], "annotations": []}}
    return part


def reply_body(run: RunRecord, step: Step) -> dict[str, Any]:
    """Returns the body of the message that a run wrote in a step."""
    text = REPLIES[stable_hash(step.planned.id) % len(REPLIES)]
    message_id = str(step.planned.message_id)
    message = MessageRecord(message_id, run.thread_id, step.created_at, "assistant", text, {})
    return {**message_body(message), "assistant_id": run.assistant_id, "run_id": run.id}


def assistant_body(assistant: AssistantRecord) -> dict[str, Any]:
    """Returns the body of an assistant."""
    settings = assistant.settings
    return {
        "id": assistant.id,
        "object": "assistant",
        "created_at": int(assistant.created_at),
        "name": settings.get("name"),
        "description": settings.get("description"),
        "model": settings["model"],
        "instructions": settings.get("instructions"),
        "tools": settings.get("tools", []),
        "tool_resources": settings.get("tool_resources") or {},
        "metadata": dict(assistant.metadata),
        "temperature": settings.get("temperature", 1.0),
        "top_p": settings.get("top_p", 1.0),
        "response_format": settings.get("response_format", "auto"),
    }


def _seconds(moment: float | None) -> int | None:
    return None if moment is None else int(moment)


def _tools(tools: list[Any], version: Version) -> list[Any]:
    if version == "v2":
        return tools
    return [{"type": "retrieval"} if tool == {"type": "file_search"} else tool for tool in tools]


def _last_error(life: Life) -> dict[str, Any]:
    code = life.plan.error_code or "server_error"
    return {"code": code, "message": ERRORS[code]}


def _required_action(action: Step) -> dict[str, Any]:
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.function, "arguments": call.text},
        }
        for call in action.planned.calls
    ]
    return {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": calls}}


def _step_details(run: RunRecord, step: Step, *, answered: bool) -> dict[str, Any]:
    if step.planned.message_id is not None:
        return {
            "type": "message_creation",
            "message_creation": {"message_id": step.planned.message_id},
        }

    calls: list[dict[str, Any]] = []
    for call in step.planned.calls:
        detail: dict[str, Any]
        if call.type == "function":
            output = run.outputs.get(call.id, '{"ok": true}') if answered else None
            detail = {"name": call.function, "arguments": call.text, "output": output}
        elif call.type == "code_interpreter":
            outputs = [{"type": "logs", "logs": "42"}] if answered else []
            detail = {"input": call.text, "outputs": outputs}
        else:
            results = [{"file_id": "file-1", "file_name": call.text, "score": 0.75}]
            ranking = {"ranker": "auto", "score_threshold": 0.0}
            detail = {"ranking_options": ranking, "results": results if answered else []}
        calls.append({"id": call.id, "type": call.type, call.type: detail})
    return {"type": "tool_calls", "tool_calls": calls}
