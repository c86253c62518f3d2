"""Sessions of the Agents API, with the turns of their own and those of their sub-agents."""

from __future__ import annotations

import json
from typing import Any

from tracker.core.status import (
    CANCELLING,
    EXPIRED,
    FAILED,
    IN_PROGRESS,
    INCOMPLETE,
    REQUIRES_ACTION,
    is_ended,
)
from tracker.simulator.api.payloads import ERRORS
from tracker.simulator.model.catalogue import MODELS
from tracker.simulator.model.errors import Refused, not_found_error, wrong_type_error
from tracker.simulator.model.parameters import Parameters
from tracker.simulator.model.records import RunRecord, SessionRecord, SubagentRecord
from tracker.simulator.model.run_life import Life
from tracker.simulator.model.tokens import Tokens
from tracker.simulator.model.world import World

# As the service calls what a turn shares with a run.
_STATUSES = {
    REQUIRES_ACTION: "waiting",
    CANCELLING: IN_PROGRESS,
    INCOMPLETE: FAILED,
    EXPIRED: FAILED,
}
_CODES = {INCOMPLETE: "max_output_tokens", EXPIRED: "request_timeout"}
_MESSAGES = {
    "max_output_tokens": "The model reached its output token limit.",
    "request_timeout": "The request timed out.",
    **ERRORS,
}


def create_session(
    world: World,
    now: float,
    *,
    subagents: int = 0,
    overhead: int = 0,
    tools: list[Any] | None = None,
    parameters: Parameters | None = None,
) -> SessionRecord:
    """Starts a session with a turn, and each of its sub-agents with a turn of its own.

    The session counts `overhead` prompt tokens that are of no turn.
    """
    if tools is not None and not isinstance(tools, list):
        raise wrong_type_error("tools", "an array", tools)
    session = SessionRecord(
        id=world.new_id("sess"),
        agent_id=world.new_id("agent"),
        environment_id=world.new_id("env"),
        model=MODELS[0],
        created_at=now,
        tools=tools or [],
        overhead=overhead,
    )
    world.sessions[session.id] = session
    add_turn(world, now, session, parameters=parameters)
    for _ in range(subagents):
        subagent = SubagentRecord(world.new_id("subagent"), now)
        session.subagents[subagent.id] = subagent
        add_turn(world, now, session, subagent.id, parameters)
    return session


def add_turn(
    world: World,
    now: float,
    session: SessionRecord,
    subagent_id: str | None = None,
    parameters: Parameters | None = None,
) -> RunRecord:
    """Starts a turn of a session, or of one of its sub-agents. Raises Refused for another one."""
    turns = session.turns
    if subagent_id is not None:
        if subagent_id not in session.subagents:
            raise not_found_error("subagent", subagent_id)
        turns = session.subagents[subagent_id].turns
    turn = RunRecord(
        id=world.new_id("turn"),
        thread_id=session.id,
        assistant_id=session.agent_id,
        model=session.model,
        created_at=now,
        settings={},
        tools=session.tools,
        metadata={},
        parameters=parameters or world.parameters,
        subagent_id=subagent_id,
    )
    turns[turn.id] = world.turns[turn.id] = turn
    return turn


def find_session(world: World, session_id: str) -> SessionRecord:
    """Returns the session with this id. Raises Refused."""
    if session_id not in world.sessions:
        raise not_found_error("session", session_id)
    return world.sessions[session_id]


def find_subagent(world: World, session_id: str, subagent_id: str) -> SubagentRecord:
    """Returns a sub-agent of a session. Raises Refused."""
    session = find_session(world, session_id)
    if subagent_id not in session.subagents:
        raise not_found_error("subagent", subagent_id)
    return session.subagents[subagent_id]


def find_turn(turns: dict[str, RunRecord], turn_id: str, now: float) -> RunRecord:
    """Returns the turn with this id. Raises Refused."""
    if turn_id not in turns or turns[turn_id].created_at > now:
        raise Refused(f"No turn found with id '{turn_id}'.", kind="unknown")
    return turns[turn_id]


def session_body(world: World, session: SessionRecord, now: float) -> dict[str, Any]:
    """Returns the body of a session at a given time."""
    turns = [(turn, world.get_life(turn)) for turn in session.all_turns if turn.created_at <= now]
    statuses = [life.at(now).status for _, life in turns]
    is_waiting = REQUIRES_ACTION in statuses
    is_working = any(not is_ended(status) for status in statuses)
    usage = _count_tokens(session, [life for _, life in turns], now)
    enabled = bool(session.subagents)
    return {
        "id": session.id,
        "object": "agent.session",
        "agent": {
            "id": session.agent_id,
            "instructions": "Be brief.",
            "model": session.model,
            "multi_agent": {
                "enabled": enabled,
                "max_concurrent_subagents": 6 if enabled else None,
            },
            "name": None,
            "reasoning": {"effort": None, "summary": None},
            "service_tier": "default",
            "text": {"format": {"type": "text"}, "verbosity": "medium"},
            "tools": session.tools,
        },
        "created_at": int(session.created_at),
        "environment": {
            "id": session.environment_id,
            "type": "openai_hosted",
            "capability_directories": [],
            "files": [],
            "network": {"access": "disabled", "allowed_domains": []},
            "packages": {"npm": [], "python": [], "system": []},
            "plugins": [],
            "skills": [],
        },
        "error": None,
        "last_active_at": int(
            max((life.at(now).ended_at or now for _, life in turns), default=now)
        ),
        "metadata": {},
        "required_actions": [it for turn, life in turns for it in _list_actions(turn, life, now)],
        "status": REQUIRES_ACTION if is_waiting else IN_PROGRESS if is_working else "idle",
        "usage": usage.to_response_usage() if usage else None,
        "vault_ids": [],
    }


def turn_body(turn: RunRecord, life: Life, now: float) -> dict[str, Any]:
    """Returns the body of a turn at a given time."""
    moment = life.at(now)
    status, ended_at = _STATUSES.get(moment.status, moment.status), moment.ended_at
    tokens = life.tokens if ended_at is not None else None
    code = _CODES.get(moment.status) or life.plan.error_code or "server_error"
    return {
        "id": turn.id,
        "object": "agent.session.turn",
        "session_id": turn.thread_id,
        "agent_id": turn.assistant_id,
        "subagent_id": turn.subagent_id,
        "status": status,
        "created_at": int(turn.created_at),
        "started_at": None if moment.started_at is None else int(moment.started_at),
        "completed_at": None if ended_at is None else int(ended_at),
        "error": {"code": code, "message": _MESSAGES[code]} if status == FAILED else None,
        "usage": tokens.to_response_usage() if tokens else None,
        "prompt_cache_options": None,
    }


def subagent_body(
    world: World, session: SessionRecord, subagent: SubagentRecord, now: float
) -> dict[str, Any]:
    """Returns the body of a sub-agent, which is closed once no turn of its session is open."""
    ends = [world.get_life(it).at(now).ended_at for it in session.all_turns if it.created_at <= now]
    closed_at = None if None in ends else max(filter(None, ends), default=None)
    return {
        "id": subagent.id,
        "object": "agent.session.subagent",
        "session_id": session.id,
        "parent_agent_id": session.agent_id,
        "name": None,
        "instructions": None,
        "opened_at": int(subagent.opened_at),
        "closed_at": None if closed_at is None else int(closed_at),
        "status": "active" if closed_at is None else "closed",
    }


def _count_tokens(session: SessionRecord, lives: list[Life], now: float) -> Tokens | None:
    """Returns the tokens of the turns that ended, and those of the session alone."""
    spent = [life.tokens for life in lives if life.at(now).ended_at is not None]
    known = [it for it in spent if it is not None]
    return sum(known, Tokens(prompt=session.overhead)) if known else None


def _list_actions(turn: RunRecord, life: Life, now: float) -> list[dict[str, Any]]:
    action = life.find_action(now)
    return [
        {
            "type": "function_call",
            "call_id": call.id,
            "name": call.function,
            "arguments": json.loads(call.text),
            "turn_id": turn.id,
        }
        for call in (action.planned.calls if action else ())
    ]
