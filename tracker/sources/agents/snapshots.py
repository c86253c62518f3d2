"""Mapping of turns of an Agents service to snapshots.

The calls that a turn waits for, and the model of its agent, are fields of its session:
`with_session` adds both to the turn's document.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tracker.core.snapshot import Configuration, RunSnapshot, ToolCall
from tracker.core.status import (
    CANCELLED,
    COMPLETED,
    ENDED,
    FAILED,
    IN_PROGRESS,
    QUEUED,
    REQUIRES_ACTION,
)
from tracker.sources.documents import decode, objects_in, pick, validate
from tracker.sources.payload_format import Api, PayloadFormat
from tracker.sources.peculiarities import Documented, peculiarities
from tracker.sources.responses.snapshots import Tokens, usage_of
from tracker.sources.stamps import Stamp
from tracker.sources.wire import Entity, Error, run_error, text_of

TURN_OBJECT = "agent.session.turn"
WAITING = "waiting"

_SETTINGS = ("multi_agent", "reasoning", "service_tier", "text")
_DOCUMENTED = Documented(
    statuses=frozenset({QUEUED, IN_PROGRESS, WAITING, COMPLETED, FAILED, CANCELLED}),
    completed=COMPLETED,
    fields=("object", "session_id", "created_at"),
    stamps=("created_at", "started_at", "completed_at"),
    ends=("completed_at",),
    objects=("error", "usage"),
)
_TRACKED = (
    "id",
    "status",
    "started_at",
    "completed_at",
    "failed_at",
    "cancelled_at",
    "usage",
    "error",
    "required_actions",
)


class Turn(Entity):
    """A turn of a session; `agent` and `required_actions` are fields of the session."""

    object: str | None = None
    status: str
    session_id: str | None = None
    agent_id: str | None = None
    created_at: Stamp = None
    started_at: Stamp = None
    completed_at: Stamp = None
    failed_at: Stamp = None
    cancelled_at: Stamp = None
    error: Error = None
    usage: Tokens = None
    agent: dict[str, Any] | None = None
    required_actions: list[Any] | None = None


def with_session(turn: Mapping[str, Any], session: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a turn's document with the fields of its session, without actions of other turns."""
    document = {**turn, "agent": session.get("agent")}
    if turn.get("status") == WAITING:
        document["required_actions"] = [
            action
            for action in objects_in(session.get("required_actions"))
            if action.get("turn_id") in (turn.get("id"), None)
        ]
    return document


def glance(body: bytes) -> dict[str, Any]:
    """Returns the tracked fields of a turn's body, as sent. Raises PayloadError."""
    return pick(decode(body), _TRACKED)


def turn_snapshot(
    body: bytes | Mapping[str, Any],
    source: str,
    *,
    observed_at: datetime,
    asked_at: datetime | None = None,
    unchanged_until: datetime | None = None,
) -> RunSnapshot:
    """Returns a turn as a snapshot; its thread is its session.

    Raises PayloadError naming the missing or wrong fields.
    """
    document = decode(body)
    turn = validate(Turn, document, "a turn of a session")
    is_waiting = turn.status == WAITING
    calls = _calls(turn.required_actions) if is_waiting else ()
    agent = turn.agent or {}
    ended_at = turn.completed_at or turn.failed_at or turn.cancelled_at
    fields = {
        "source": source,
        "run_id": turn.id,
        "observed_at": observed_at,
        "asked_at": asked_at,
        "unchanged_until": unchanged_until,
        "status": REQUIRES_ACTION if is_waiting else turn.status,
        "thread_id": turn.session_id,
        "assistant_id": turn.agent_id or text_of(agent.get("id")),
        "model": text_of(agent.get("model")),
        "created_at": turn.created_at,
        "started_at": turn.started_at,
        "ended_at": ended_at if turn.status in ENDED else None,
        "tool_calls": calls,
        "usage": usage_of(turn.usage),
        "error": run_error(turn.error),
        "configuration": _configuration(agent) if agent else None,
        "peculiarities": peculiarities(document, _DOCUMENTED, lacks_calls=is_waiting and not calls),
    }
    return validate(RunSnapshot, fields, "a turn that can be tracked")


def is_turn(body: Mapping[str, Any]) -> bool:
    """True if a document of unknown origin is a turn."""
    return bool(body.get("object") == TURN_OBJECT)


def _calls(actions: object) -> tuple[ToolCall, ...]:
    return tuple(_call(number, it) for number, it in enumerate(objects_in(actions), start=1))


def _call(number: int, action: dict[str, Any]) -> ToolCall:
    action_type = text_of(action.get("type")) or "function_call"
    request = action.get("request")
    content = request if isinstance(request, dict) else action
    call_id = action.get("call_id") or action.get("request_id") or action.get("environment_id")
    arguments = content.get("arguments", request)
    return ToolCall(
        id=text_of(call_id) or f"call {number}",
        type="function" if action_type == "function_call" else action_type,
        name=text_of(content.get("name")),
        arguments=text_of(arguments),
    )


def _configuration(agent: dict[str, Any]) -> Configuration:
    tools = agent.get("tools")
    settings = {name: agent[name] for name in _SETTINGS if agent.get(name) is not None}
    return validate(
        Configuration,
        {
            "instructions": text_of(agent.get("instructions")),
            "tools": tuple(tools) if isinstance(tools, list) else None,
            "settings": settings,
        },
        "a configuration",
    )


FORMAT = PayloadFormat(Api.agents, is_turn, glance, turn_snapshot)
