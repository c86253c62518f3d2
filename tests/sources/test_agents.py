"""Turns of sessions: requests, and snapshots of the answers."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.support.agent_payloads import NOW, SESSION, TURN, UNIX
from tracker.core.decider import decide, fold
from tracker.core.events import Event, RunCompleted, RunUsageReported
from tracker.core.snapshot import Configuration, RunError, ToolCall
from tracker.core.usage import Usage
from tracker.errors import PayloadError, RequestRefused, UnusableAnswer
from tracker.sources import AgentTurns, PageSource
from tracker.sources.agents.snapshots import with_session

Use = Callable[[AgentTurns], Awaitable[Any]]


def call(use: Use, turn: object, session: object = SESSION) -> tuple[Any, list[httpx.Request]]:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=turn if "/turns" in request.url.path else session)

    async def main() -> Any:
        async with AgentTurns("https://host/v1", transport=httpx.MockTransport(answer)) as api:
            return await use(api)

    return asyncio.run(main()), asked


def paths(asked: list[httpx.Request]) -> list[str]:
    return [request.url.path.removeprefix("/v1/agents/sessions/") for request in asked]


def test_the_session_is_asked_at_first_and_while_a_turn_waits() -> None:
    first, asked = call(lambda api: api.fetch("sess_1", "turn_1"), TURN)
    assert paths(asked) == ["sess_1/turns/turn_1", "sess_1"]
    assert {request.headers["openai-beta"] for request in asked} == {"agents=v1"}
    api = AgentTurns("https://host/v1")
    seen = api.snapshot(first.body, observed_at=NOW)
    assert (seen.thread_id, seen.assistant_id, seen.model) == ("sess_1", "agent_1", "gpt-6")
    assert seen.started_at == NOW + timedelta(seconds=1)
    assert seen.configuration == Configuration(
        instructions="Be brief.", tools=(), settings={"multi_agent": {"enabled": False}}
    )
    later, asked = call(lambda api: api.fetch("sess_1", "turn_1", first.body), TURN)
    assert paths(asked) == ["sess_1/turns/turn_1"]
    assert api.glance(later.body) == api.glance(first.body)
    same, _ = call(lambda api: api.fetch("sess_1", "turn_1", later.body), TURN)
    assert same.body is later.body
    waiting = TURN | {"status": "waiting"}
    found, asked = call(lambda api: api.fetch("sess_1", "turn_1", first.body), waiting)
    assert paths(asked) == ["sess_1/turns/turn_1", "sess_1"]
    assert api.glance(found.body) != api.glance(first.body)


def test_what_a_turn_waits_for_is_told_from_what_others_do() -> None:
    waiting = TURN | {"status": "waiting"}
    found, _ = call(lambda api: api.fetch("sess_1", "turn_1"), waiting)
    seen = AgentTurns("https://host").snapshot(found.body, observed_at=NOW)
    assert seen.status == "requires_action"
    assert seen.tool_calls == (
        ToolCall(id="call_1", name="price", arguments='{"a": 1}'),
        ToolCall(id="env_1", type="environment_connection"),
        ToolCall(id="req_1", type="mcp_approval_request", name="pay", arguments='{"eur": 3}'),
    )


def test_a_page_shows_turns_with_their_session() -> None:
    page = {"data": [TURN | {"id": "turn_2", "status": "waiting"}, TURN], "has_more": False}
    (answer, turns), asked = call(lambda api: api.fetch_page("sess_1", 7), page)
    assert paths(asked) == ["sess_1/turns", "sess_1"]
    assert dict(asked[0].url.params) == {"limit": "7", "order": "desc"}
    assert answer.asked_at <= answer.observed_at
    api = AgentTurns("https://host")
    assert isinstance(api, PageSource)
    waiting, working = (api.snapshot(turn, observed_at=NOW) for turn in turns)
    assert [call.id for call in waiting.tool_calls] == ["call_2", "env_1"]
    assert (working.status, working.model) == ("in_progress", "gpt-6")


def test_all_turns_of_a_session_are_listed_from_the_oldest() -> None:
    page = {"object": "list", "data": [TURN], "last_id": "turn_9", "has_more": True}
    (_, turns, more), asked = call(lambda api: api.fetch_runs("sess_1", "turn_0"), page)
    assert (len(turns), more) == (1, "turn_9")
    assert "order=asc" in str(asked[0])
    assert "after=turn_0" in str(asked[0])


def test_how_a_turn_ends() -> None:
    api = AgentTurns("https://host")
    usage = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
    ended = TURN | {
        "status": "failed",
        "completed_at": UNIX + 8,
        "error": {"code": "max_output_tokens", "message": "Too long."},
        "usage": usage,
    }
    seen = api.snapshot(json.dumps(ended).encode(), observed_at=NOW)
    assert (seen.status, seen.ended_at) == ("failed", NOW + timedelta(seconds=8))
    assert seen.error == RunError(code="max_output_tokens", message="Too long.")
    assert seen.usage == Usage(prompt_tokens=5, completion_tokens=2, total_tokens=7)
    assert api.snapshot(TURN | {"completed_at": UNIX}, observed_at=NOW).ended_at is None
    with pytest.raises(PayloadError, match="not a turn of a session: status"):
        api.snapshot({"id": "turn_1"}, observed_at=NOW)


def test_a_usage_that_changes_after_the_end_is_recorded() -> None:
    api = AgentTurns("https://host")
    ended = TURN | {"status": "completed", "completed_at": UNIX + 8}
    events: list[Event] = []
    for number, total in enumerate((None, 7, 7, 9)):
        moment = NOW + timedelta(seconds=number)
        usage = None if total is None else {"total_tokens": total}
        look = api.snapshot(ended | {"usage": usage}, observed_at=moment, asked_at=moment)
        events += decide(fold(events), look)
    assert [type(event) for event in events[-3:]] == [
        RunCompleted,
        RunUsageReported,
        RunUsageReported,
    ]
    assert fold(events).usage == Usage(total_tokens=9)


def test_another_turn_or_session_is_no_answer() -> None:
    for turn, session in (
        (TURN | {"session_id": "sess_2"}, SESSION),
        (TURN, SESSION | {"id": "sess_2"}),
    ):
        with pytest.raises(UnusableAnswer):
            call(lambda api: api.fetch("sess_1", "turn_1"), turn, session)
    with pytest.raises(RequestRefused, match="which session"):
        call(lambda api: api.fetch(None, "turn_1"), TURN)


def test_a_turn_that_ended_long_ago_gets_no_model_of_its_session() -> None:
    over = TURN | {"status": "completed", "completed_at": UNIX + 2}
    page = {"data": [over], "has_more": False}
    for turns in (
        call(lambda api: api.fetch_runs("sess_1"), page)[0][1],
        call(lambda api: api.fetch_page("sess_1", 7), page)[0][1],
    ):
        seen = AgentTurns("https://host").snapshot(turns[0], observed_at=NOW)
        assert (seen.thread_id, seen.assistant_id) == ("sess_1", "agent_1")
        assert (seen.model, seen.configuration) == (None, None)


@pytest.mark.parametrize(
    ("turn", "seconds", "model"),
    [
        ({}, 9e9, "gpt-6"),
        ({"status": "failed", "failed_at": UNIX + 2}, 40, "gpt-6"),
        ({"status": "failed", "failed_at": UNIX + 2}, 70, None),
        ({"status": "cancelled"}, 0, None),
        ({"status": "completed", "model": "gpt-5"}, 9e9, "gpt-5"),
        ({"agent_id": "agent_2"}, 0, None),
    ],
)
def test_the_agent_of_a_session_is_that_of_its_turns_of_now(
    turn: dict[str, Any], seconds: float, model: str | None
) -> None:
    document = with_session(TURN | turn, SESSION, NOW + timedelta(seconds=min(seconds, 9e8)))
    seen = AgentTurns("https://host").snapshot(document, observed_at=NOW)
    assert seen.model == model
    assert seen.has_model_of_thread is ("model" not in turn)
