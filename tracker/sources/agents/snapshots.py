"""Mapping of turns of an Agents service to snapshots.

The calls that a turn waits for, the model of its agent, and the tokens of the whole session are
fields of its session: `with_session` adds them to the turn's document. They are those of now: an
agent may have got another model since a turn ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
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
from tracker.sources.configurations import read_configuration
from tracker.sources.documents import decode, objects_in, pick, validate
from tracker.sources.fields import Fields, read_calls, text_of
from tracker.sources.payload_format import Api, PayloadFormat
from tracker.sources.peculiarities import Documented, peculiarities
from tracker.sources.usages import read_usage
from tracker.sources.wire import check_identity

TURN_OBJECT = "agent.session.turn"
WAITING = "waiting"
# After the end of a turn, for as long its session still has the agent that it ran with.
_SAME_AGENT = timedelta(minutes=1)

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
    "service_tier",
    "usage",
    "error",
    "required_actions",
    "session_usage",
)


def with_session(
    turn: Mapping[str, Any], session: Mapping[str, Any], now: datetime, *, is_newest: bool = False
) -> dict[str, Any]:
    """Returns a turn's document with the fields of its session, without actions of other turns.

    A turn that ended long before `now`, by the service's clock, gets no agent: that of the session
    may have been another one. One that ended just now, and the newest one once it waits or has
    ended, gets the session's own usage as `session_usage`. Each gets the session's environment.
    """
    document = {"environment_id": Fields(session).part("environment").identifier("id"), **turn}
    if _has_agent_of(turn, session.get("agent"), now):
        document["agent"] = session.get("agent")
    if turn.get("status") == WAITING:
        document["required_actions"] = [
            action
            for action in objects_in(session.get("required_actions"))
            if action.get("turn_id") in (turn.get("id"), None)
        ]
    is_over = turn.get("status") in (WAITING, *ENDED)
    if session.get("usage") is not None and is_over and (is_newest or _ended_lately(turn, now)):
        document["session_usage"] = session["usage"]
    return document


def may_have_subagents(session: Mapping[str, Any]) -> bool:
    """True unless a session says that its agent has no sub-agents."""
    return Fields(session).part("agent").part("multi_agent").document.get("enabled") is not False


def newest_first(turns: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Returns turns by their creation, the newest first; those without one last."""
    created = [(Fields(turn).stamp("created_at"), turn) for turn in turns]
    known = [(moment, turn) for moment, turn in created if moment is not None]
    known.sort(key=lambda it: it[0], reverse=True)
    return [*(turn for _, turn in known), *(turn for moment, turn in created if moment is None)]


def closed_at(subagent: Mapping[str, Any]) -> datetime | None:
    """Returns when a sub-agent was closed; None for one that is active."""
    return Fields(subagent).stamp("closed_at")


def _has_agent_of(turn: Mapping[str, Any], agent: object, now: datetime) -> bool:
    own = turn.get("agent_id")
    if isinstance(agent, dict) and own and agent.get("id") not in (own, None):
        return False
    return turn.get("status") not in ENDED or _ended_lately(turn, now)


def _ended_lately(turn: Mapping[str, Any], now: datetime) -> bool:
    return any(it and now - it < _SAME_AGENT for it in _read_ends(Fields(turn)))


def _read_ends(fields: Fields) -> list[datetime | None]:
    return [fields.stamp(name) for name in ("completed_at", "failed_at", "cancelled_at")]


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

    Raises PayloadError for one without an id or a status.
    """
    document = decode(body)
    check_identity(document, "a turn of a session")
    fields, status = Fields(document), document["status"]
    is_waiting = status == WAITING
    calls = _calls(fields) if is_waiting else ()
    agent = fields.part("agent")
    usage, own_model, ends = read_usage(fields), fields.text("model"), _read_ends(fields)
    of_session = Fields({"usage": document.get("session_usage")}, fields.found)
    values = {
        "source": source,
        "run_id": document["id"],
        "observed_at": observed_at,
        "asked_at": asked_at,
        "unchanged_until": unchanged_until,
        "status": REQUIRES_ACTION if is_waiting else status,
        "thread_id": fields.text("session_id"),
        "assistant_id": fields.text("agent_id") or agent.text("id"),
        "model": own_model or agent.text("model"),
        "has_model_of_thread": own_model is None,
        "service_tier": fields.text("service_tier") or agent.text("service_tier"),
        "created_at": fields.stamp("created_at"),
        "started_at": fields.stamp("started_at"),
        "ended_at": next(filter(None, ends), None) if status in ENDED else None,
        "tool_calls": calls,
        "usage": usage,
        "parent_run_id": fields.identifier("parent_run_id"),
        "subagent_id": fields.identifier("subagent_id"),
        "environment_id": fields.identifier("environment_id"),
        "thread_usage": read_usage(of_session),
        "error": fields.error("error"),
        "configuration": read_configuration(agent, agent.prose("instructions"), _SETTINGS)
        or (Configuration() if agent.document else None),
        "peculiarities": fields.found
        | peculiarities(document, _DOCUMENTED, usage, lacks_calls=is_waiting and not calls),
    }
    return validate(RunSnapshot, values, "a turn that can be tracked")


def is_turn(body: Mapping[str, Any]) -> bool:
    """True if a document of unknown origin is a turn."""
    return bool(body.get("object") == TURN_OBJECT)


def _calls(fields: Fields) -> tuple[ToolCall, ...]:
    actions = read_calls(fields, fields.document, "required_actions")
    return tuple(_call(number, it) for number, it in enumerate(actions, start=1))


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


FORMAT = PayloadFormat(Api.agents, is_turn, glance, turn_snapshot)
