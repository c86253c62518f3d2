"""Turns of the sub-agents of a session, which a service shows below `/subagents`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.agent_payloads import NOW, SESSION, TURN, UNIX
from tracker.core.usage import Usage
from tracker.errors import NotFound, RateLimited, UnusableAnswer
from tracker.sources import AgentTurns
from tracker.sources.agents.snapshots import newest_first

ROOT = "/v1/agents/sessions/sess_1"
OPEN = SESSION | {
    "agent": {"id": "agent_1", "model": "gpt-6", "multi_agent": {"enabled": True}},
    "environment": {"id": "env_1", "type": "openai_hosted"},
    "usage": {"input_tokens": 90, "output_tokens": 10, "total_tokens": 100},
}
Use = Callable[[AgentTurns], Awaitable[Any]]


def subagent(number: int, **more: Any) -> dict[str, Any]:
    found = {"id": f"sub_{number}", "object": "agent.session.subagent", "session_id": "sess_1"}
    return {**found, "opened_at": UNIX, "closed_at": None, "status": "active", **more}


def turn(number: int, **more: Any) -> dict[str, Any]:
    return {**TURN, "id": f"turn_{number}", "created_at": UNIX + number, **more}


def page(*entries: Any) -> dict[str, Any]:
    return {"object": "list", "data": list(entries), "has_more": False}


PATHS: dict[str, Any] = {
    "": OPEN,
    "/turns": page(turn(1)),
    "/turns/turn_1": turn(1),
    "/subagents": page(subagent(2), subagent(1)),
    "/subagents/sub_1/turns": page(turn(2, status="completed", completed_at=UNIX + 8)),
    "/subagents/sub_1/turns/turn_2": turn(2, status="completed", completed_at=UNIX + 8),
    "/subagents/sub_2/turns": page(turn(3, subagent_id="sub_2")),
    "/subagents/sub_2/turns/turn_3": turn(3, subagent_id="sub_2"),
}


def call(use: Use, **paths: Any) -> tuple[Any, list[str]]:
    """Returns the result of `use` at a service of these paths, and the paths it asked for."""
    known, asked = PATHS | {f"/{name}".rstrip("/"): it for name, it in paths.items()}, []

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix(ROOT)
        asked.append(path)
        found = known.get(path, 404)
        if path == "/subagents" and isinstance(found, Mapping) and "order=asc" in str(request.url):
            found = _oldest_first(found, request.url.params.get("after"))
        if isinstance(found, int):
            return httpx.Response(found, json={"error": {"message": "No such thing."}})
        return httpx.Response(200, json=found)

    async def main() -> Any:
        async with AgentTurns("https://host/v1", transport=httpx.MockTransport(answer)) as api:
            return await use(api)

    return asyncio.run(main()), asked


def _oldest_first(listed: Mapping[str, Any], after: str | None) -> dict[str, Any]:
    entries = list(reversed(listed.get("data", [])))
    ids = [it["id"] for it in entries]
    return {**listed, "data": entries[ids.index(after) + 1 if after in ids[:1] else 0 :]}


def test_a_page_shows_the_turns_of_sub_agents_too() -> None:
    (answer, turns), asked = call(lambda api: api.fetch_page("sess_1", 20))
    below = ["/subagents/sub_2/turns", "/subagents/sub_1/turns"]
    assert asked == ["/turns", "", "/subagents", *below]
    assert answer.requests == 5
    found = {it["id"]: it.get("subagent_id") for it in turns}
    assert list(found.items()) == [("turn_3", "sub_2"), ("turn_2", "sub_1"), ("turn_1", None)]
    api = AgentTurns("https://host")
    seen = [api.snapshot(it, observed_at=NOW) for it in turns]
    assert [it.subagent_id for it in seen] == ["sub_2", "sub_1", None]
    assert {it.thread_id for it in seen} == {"sess_1"}
    (_, turns), _ = call(lambda api: api.fetch_page("sess_1", 2))
    assert [it["id"] for it in turns] == ["turn_3", "turn_2"]


def test_an_agent_without_sub_agents_is_not_asked_about_them() -> None:
    for use in (lambda api: api.fetch_page("sess_1", 9), lambda api: api.fetch_runs("sess_1")):
        (_, turns, *_), asked = call(use, **{"": SESSION})
        assert ([it["id"] for it in turns], asked) == (["turn_1"], ["/turns", ""])


@pytest.mark.parametrize("listed", [404, 400, {"object": "list"}, page({"id": 5}), page()])
def test_a_service_without_sub_agents_shows_its_own_turns(listed: Any) -> None:
    (answer, turns), asked = call(lambda api: api.fetch_page("sess_1", 9), subagents=listed)
    assert [it["id"] for it in turns] == ["turn_1"]
    assert answer.requests == len(asked) == 3
    (answer, turns, more), asked = call(lambda api: api.fetch_runs("sess_1"), subagents=listed)
    assert ([it["id"] for it in turns], more, answer.requests) == (["turn_1"], None, len(asked))


@pytest.mark.parametrize("broken", [404, 400, {"data": 3}, page({"id": "x", "object": "y"})])
def test_a_sub_agent_that_cannot_be_read_costs_itself(broken: Any) -> None:
    (answer, turns), asked = call(
        lambda api: api.fetch_page("sess_1", 9), **{"subagents/sub_2/turns": broken}
    )
    assert [it["id"] for it in turns] == ["turn_2", "turn_1"]
    assert answer.requests == len(asked) == 5
    odd = page(subagent(1), subagent(2, id=".."), None, {"id": "sub_9", "object": "thread"})
    (_, turns), _ = call(lambda api: api.fetch_page("sess_1", 9), subagents=odd)
    assert [it["id"] for it in turns] == ["turn_2", "turn_1"]


def test_a_service_that_is_too_busy_for_sub_agents_is_asked_again() -> None:
    with pytest.raises(RateLimited) as refused:
        call(lambda api: api.fetch_page("sess_1", 9), **{"subagents/sub_2/turns": 429})
    assert refused.value.requests == 4


def test_closed_sub_agents_are_read_again_for_ten_minutes_and_others_once() -> None:
    closed = [subagent(1, closed_at=UNIX - 700), subagent(2, closed_at=NOW.timestamp() + 10**9)]

    async def use(api: AgentTurns) -> list[int]:
        return [len((await api.fetch_page("sess_1", 9))[1]) for _ in range(2)]

    assert call(use, subagents=page(*closed))[0] == [3, 2]
    resumed = [page(closed[0]), page(subagent(1)), page(subagent(1, closed_at=UNIX - 600))]

    async def later(api: AgentTurns) -> list[int]:
        return [len((await api.fetch_page("sess_1", 9))[1]) for _ in resumed]

    shown = iter([*resumed])
    paths = {"subagents": _Shifting(shown)}
    assert call(later, **paths)[0] == [2, 2, 2]


class _Shifting(dict[str, Any]):
    """A page that is another one each time it is written."""

    def __init__(self, shown: Any) -> None:
        super().__init__(page())
        self._shown = shown

    def items(self) -> Any:
        return next(self._shown).items()


def test_a_turn_of_a_sub_agent_is_found_and_remembered() -> None:
    async def use(api: AgentTurns) -> Any:
        answers = [await api.fetch("sess_1", "turn_2"), await api.fetch("sess_1", "turn_2")]
        return answers, api.snapshot(answers[0].body, observed_at=NOW)

    (answers, seen), asked = call(use)
    assert [it.requests for it in answers] == [5, 2]
    assert asked == [
        *("/turns/turn_2", "/subagents", "/subagents/sub_2/turns/turn_2"),
        *("/subagents/sub_1/turns/turn_2", ""),
        *("/subagents/sub_1/turns/turn_2", ""),
    ]
    assert (seen.run_id, seen.thread_id, seen.subagent_id) == ("turn_2", "sess_1", "sub_1")
    assert seen.thread_usage == Usage(prompt_tokens=90, completion_tokens=10, total_tokens=100)

    async def known(api: AgentTurns) -> Any:
        api.snapshot(PATHS["/subagents/sub_2/turns/turn_3"], observed_at=NOW)
        return await api.fetch("sess_1", "turn_3")

    assert call(known)[1][0] == "/subagents/sub_2/turns/turn_3"


@pytest.mark.parametrize(
    ("listed", "requests"), [(404, 2), (page(), 2), (page(subagent(1), subagent(2)), 4)]
)
def test_a_turn_that_is_nowhere_is_missing(listed: Any, requests: int) -> None:
    with pytest.raises(NotFound) as missing:
        call(lambda api: api.fetch("sess_1", "turn_9"), subagents=listed)
    assert missing.value.requests == requests


def test_another_turn_below_a_sub_agent_is_no_answer() -> None:
    other = {"subagents/sub_2/turns/turn_3": turn(3, session_id="sess_2")}
    with pytest.raises(UnusableAnswer):
        call(lambda api: api.fetch("sess_1", "turn_3"), **other)


def test_all_turns_are_listed_those_of_sub_agents_after_the_others() -> None:
    async def use(api: AgentTurns) -> list[tuple[str, str | None]]:
        found, after = [], None
        while True:
            _, turns, after = await api.fetch_runs("sess_1", after)
            found += [(it["id"], it.get("subagent_id")) for it in turns]
            if after is None:
                return found

    everything = [("turn_1", None), ("turn_2", "sub_1"), ("turn_3", "sub_2")]
    found, asked = call(use)
    assert found == everything
    assert asked.count("/subagents/sub_1/turns") == 1


def test_an_end_is_an_end_whatever_the_session_answers() -> None:
    ended = turn(1, status="completed", completed_at=UNIX + 8)
    for refusal in (404, 400, 500, {"object": "agent.session", "id": "sess_2"}):
        answer, asked = call(
            lambda api: api.fetch("sess_1", "turn_1"), **{"": refusal, "turns/turn_1": ended}
        )
        seen = AgentTurns("https://host").snapshot(answer.body, observed_at=NOW)
        assert (seen.status, seen.thread_usage, answer.requests) == ("completed", None, len(asked))
    with pytest.raises(RateLimited):
        call(lambda api: api.fetch("sess_1", "turn_1"), **{"": 429, "turns/turn_1": ended})


def test_the_usage_of_a_session_is_told_with_the_end_of_a_turn() -> None:
    api = AgentTurns("https://host")
    for status, told in (("in_progress", False), ("waiting", True), ("completed", True)):
        document = turn(1, status=status, **({"completed_at": UNIX + 8} if told else {}))
        answer, _ = call(lambda api: api.fetch("sess_1", "turn_1"), **{"turns/turn_1": document})
        seen = api.snapshot(answer.body, observed_at=NOW)
        assert (seen.thread_usage is not None) is told
    old = [turn(number, status="completed", completed_at=UNIX + number) for number in (2, 1)]
    (_, turns), _ = call(lambda api: api.fetch_page("sess_1", 9), turns=page(*old), subagents=404)
    assert ["session_usage" in it for it in turns] == [True, False]


def test_a_turn_has_the_environment_of_its_session() -> None:
    api = AgentTurns("https://host")
    for use in (lambda api: api.fetch_page("sess_1", 9), lambda api: api.fetch_runs("sess_1")):
        (_, turns, *_), _ = call(use)
        assert {api.snapshot(it, observed_at=NOW).environment_id for it in turns} == {"env_1"}
    answer, _ = call(lambda api: api.fetch("sess_1", "turn_1"))
    assert api.snapshot(answer.body, observed_at=NOW).environment_id == "env_1"
    for odd in (None, {"type": "none"}, {"id": 5}, "env_1", []):
        session = {"": OPEN | {"environment": odd}}
        answer, _ = call(lambda api: api.fetch("sess_1", "turn_1"), **session)
        assert api.snapshot(answer.body, observed_at=NOW).environment_id is None


@given(st.lists(st.integers(0, 5) | st.none()))
def test_turns_come_newest_first_and_none_is_lost(created: list[int | None]) -> None:
    turns = [
        {"id": number, "created_at": None if it is None else UNIX + it}
        for number, it in enumerate(created)
    ]
    found = newest_first(turns)
    assert sorted(it["id"] for it in found) == list(range(len(turns)))
    known = [it["created_at"] for it in found if it["created_at"]]
    assert known == sorted(known, reverse=True)
    assert found[: len(known)] == [it for it in found if it["created_at"]]
