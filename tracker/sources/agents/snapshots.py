"""From what an Agents service sends of a session's turn to what the core knows. Pure.

What a turn waits for, and the model of its agent, are with its session: `with_session` puts both
into the turn's document, beside what the service sent of the turn itself.
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
from tracker.sources.documents import decode, objects_in, pick, read
from tracker.sources.payload_format import Api, PayloadFormat
from tracker.sources.peculiarities import Documented, peculiarities
from tracker.sources.responses.snapshots import Tokens, usage_of
from tracker.sources.stamps import Stamp
from tracker.sources.wire import Answered, Error, failure, text_of

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
_GLANCED = (
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


class Turn(Answered):
    """A turn of a session; `agent` and `required_actions` are those of the session."""

    id: str
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
    """A turn's document with what its session says of it; those of other turns are left out."""
    whole = {**turn, "agent": session.get("agent")}
    if turn.get("status") == WAITING:
        whole["required_actions"] = [
            action
            for action in objects_in(session.get("required_actions"))
            if action.get("turn_id") in (turn.get("id"), None)
        ]
    return whole


def glance(body: bytes) -> dict[str, Any]:
    """The tracked fields of a turn's body, as sent. Raises PayloadError for no object."""
    return pick(decode(body), _GLANCED)


def turn_snapshot(
    body: bytes | Mapping[str, Any],
    source: str,
    *,
    observed_at: datetime,
    asked_at: datetime | None = None,
    unchanged_until: datetime | None = None,
) -> RunSnapshot:
    """A turn as a snapshot; its thread is its session.

    Raises PayloadError naming the field that keeps it from being one, and why.
    """
    document = decode(body)
    turn = read(Turn, document, "a turn of a session")
    waits = turn.status == WAITING
    calls = _calls(turn.required_actions) if waits else ()
    agent = turn.agent or {}
    ended_at = turn.completed_at or turn.failed_at or turn.cancelled_at
    fields = {
        "source": source,
        "run_id": turn.id,
        "observed_at": observed_at,
        "asked_at": asked_at,
        "unchanged_until": unchanged_until,
        "status": REQUIRES_ACTION if waits else turn.status,
        "thread_id": turn.session_id,
        "assistant_id": turn.agent_id or text_of(agent.get("id")),
        "model": text_of(agent.get("model")),
        "created_at": turn.created_at,
        "started_at": turn.started_at,
        "ended_at": ended_at if turn.status in ENDED else None,
        "tool_calls": calls,
        "usage": usage_of(turn.usage),
        "error": failure(turn.error),
        "configuration": _configuration(agent) if agent else None,
        "peculiarities": peculiarities(document, _DOCUMENTED, lacks_calls=waits and not calls),
    }
    return read(RunSnapshot, fields, "a turn that can be tracked")


def is_turn(body: Mapping[str, Any]) -> bool:
    """Whether a document of unknown origin has this shape."""
    return bool(body.get("object") == TURN_OBJECT)


def _calls(actions: object) -> tuple[ToolCall, ...]:
    return tuple(_call(number, it) for number, it in enumerate(objects_in(actions), start=1))


def _call(number: int, action: dict[str, Any]) -> ToolCall:
    kind = text_of(action.get("type")) or "function_call"
    request = action.get("request")
    content = request if isinstance(request, dict) else action
    place = action.get("call_id") or action.get("request_id") or action.get("environment_id")
    arguments = content.get("arguments", request)
    return ToolCall(
        id=text_of(place) or f"call {number}",
        type="function" if kind == "function_call" else kind,
        name=text_of(content.get("name")),
        arguments=text_of(arguments),
    )


def _configuration(agent: dict[str, Any]) -> Configuration:
    tools = agent.get("tools")
    settings = {name: agent[name] for name in _SETTINGS if agent.get(name) is not None}
    return read(
        Configuration,
        {
            "instructions": text_of(agent.get("instructions")),
            "tools": tuple(tools) if isinstance(tools, list) else None,
            "settings": settings,
        },
        "a configuration",
    )


FORMAT = PayloadFormat(Api.agents, is_turn, glance, turn_snapshot)
