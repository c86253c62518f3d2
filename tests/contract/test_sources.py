"""Contract of a source, over each API, their look-alikes, and an application's own source."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.examples.own_source import RenderFarm
from tests.support.assistants_contract import AssistantsContract
from tests.support.payload_bodies import (
    APPROVAL,
    BIRTH,
    STEP,
    TOKENS,
    assistants_run,
    graph_run,
    response,
    turn,
)
from tracker.sources import AgentTurns, Assistants, LangGraph, Responses, Source
from tracker.sources.detection import FORMATS
from tracker.sources.payload_format import Api
from tracker.testing import SourceContract


class TestAssistants(AssistantsContract):
    pass


class TestAzureAgents(SourceContract):
    """Foundry's classic agents: approvals, and `in_progress` right after them."""

    steps = (STEP,)

    bodies = (
        assistants_run("in_progress", started_at=BIRTH + 1),
        assistants_run("requires_action", started_at=BIRTH + 1, required_action=APPROVAL),
        assistants_run("in_progress", started_at=BIRTH + 9),
        assistants_run(
            "failed", failed_at=BIRTH + 12, last_error={"code": "tool_user_error", "message": "No"}
        ),
    )
    outcome = "failed"

    def source_at(self, base_url: str) -> Source:
        async def token() -> str:
            return "token of Entra ID"

        return Assistants(base_url, token, name="azure", beta=None, api_version="2025-05-01")


class TestLookAlike(SourceContract):
    """A look-alike: milliseconds beside seconds, missing fields, no usage, few statuses."""

    steps = ({"id": "s1", "status": "failed", "created_at": BIRTH * 1000, "failed_at": BIRTH + 2},)

    bodies = (
        {"id": "run_1", "thread_id": "t", "status": "in_progress", "created_at": BIRTH * 1000},
        {
            "id": "run_1",
            "thread_id": "t",
            "status": "completed",
            "created_at": BIRTH * 1000,
            "completed_at": BIRTH + 5,
        },
    )
    outcome = "completed"

    def source_at(self, base_url: str) -> Source:
        return Assistants(base_url, name="clone", beta=None)


class TestResponses(SourceContract):
    bodies = (
        response("queued"),
        response("in_progress"),
        response(
            "completed",
            completed_at=BIRTH + 9,
            output=[{"type": "message", "id": "msg_1", "content": []}],
            usage=TOKENS,
        ),
    )
    outcome = "completed"

    def source_at(self, base_url: str) -> Source:
        return Responses(base_url, "key-4f1d9c22b7")


class TestResponsesThatAsk(TestResponses):
    bodies = (
        response("in_progress"),
        response(
            "completed",
            completed_at=BIRTH + 9,
            output=[{"type": "function_call", "call_id": "call_1", "name": "price"}],
            usage=TOKENS,
        ),
    )
    outcome = "requires_action"


class TestResponsesLookAlike(TestResponses):
    bodies = (
        {"id": "resp_1", "object": "response", "status": "in_progress"},
        {
            "id": "resp_1",
            "object": "response",
            "status": "failed",
            "error": "It broke.",
            "created_at": float(BIRTH * 1000),
            "failed_at": BIRTH + 5,
            "usage": {"prompt_tokens": 3, "completion_tokens": -1},
            "metadata": None,
            "output": None,
        },
    )
    outcome = "failed"


class TestAgentTurns(SourceContract):
    session: dict[str, Any] = {  # noqa: RUF012 - nobody writes to it
        "id": "sess_1",
        "object": "agent.session",
        "agent": {"id": "agent_1", "model": "gpt-6", "instructions": None, "tools": []},
        "required_actions": [
            {"type": "function_call", "call_id": "call_1", "name": "price", "turn_id": "turn_1"},
            {"type": "function_call", "call_id": "call_2", "name": "price", "turn_id": "turn_2"},
        ],
    }
    bodies = (
        turn("queued"),
        turn("in_progress"),
        turn("waiting"),
        turn("in_progress"),
        turn("completed", completed_at=BIRTH + 12, usage=TOKENS),
    )
    outcome = "completed"

    def source_at(self, base_url: str) -> Source:
        return AgentTurns(base_url, "key-4f1d9c22b7")

    def served(self, path: str, body: Mapping[str, Any]) -> object:
        return body if "/turns/" in path else self.session

    def listed(
        self, path: str, query: Mapping[str, str], entries: Sequence[Mapping[str, Any]]
    ) -> object:
        return super().listed(path, query, entries) if path.endswith("/turns") else self.session


class TestLangGraph(SourceContract):
    bodies = (graph_run("pending"), graph_run("running"), graph_run("success", updated=5))
    outcome = "completed"
    id_field = "run_id"

    def source_at(self, base_url: str) -> Source:
        return LangGraph(base_url)

    def served(self, path: str, body: Mapping[str, Any]) -> object:
        if path.endswith("/state"):
            return {"values": {}, "next": [], "tasks": []}
        return [body] if path.endswith("/runs") else body

    def listed(
        self, path: str, query: Mapping[str, str], entries: Sequence[Mapping[str, Any]]
    ) -> object:
        if path.endswith("/state"):
            return {"values": {}, "next": [], "tasks": []}
        first, number = int(query["offset"]), int(query["limit"])
        return list(reversed(entries))[first : first + number]


class TestLangGraphThatFails(TestLangGraph):
    bodies = (graph_run("running"), graph_run("error", updated=5))
    outcome = "failed"


class TestSourceOfOnesOwn(SourceContract):
    bodies = (
        {"job": "j1", "state": "WAITING", "made": BIRTH * 1000, "renderer": "v2"},
        {"job": "j1", "state": "RENDERING", "made": BIRTH * 1000, "renderer": "v2"},
        {
            "job": "j1",
            "state": "NEEDS_APPROVAL",
            "made": BIRTH * 1000,
            "renderer": "v2",
            "ask": {"id": "a1", "what": "money"},
        },
        {"job": "j1", "state": "RENDERING", "made": BIRTH * 1000, "renderer": "v2"},
        {
            "job": "j1",
            "state": "DONE",
            "made": BIRTH * 1000,
            "renderer": "v2",
            "finished": (BIRTH + 12) * 1000,
            "tokens": {"in": 30, "out": 12},
        },
    )
    outcome = "completed"
    status_field = "state"

    def source_at(self, base_url: str) -> Source:
        return RenderFarm(base_url, name="farm")


CONTRACTS = [
    kind
    for name, kind in list(globals().items())
    if name.startswith("Test") and issubclass(kind, SourceContract)
]


def test_each_api_has_one_format() -> None:
    assert [it.api for it in FORMATS] == list(Api)


@pytest.mark.parametrize("kind", CONTRACTS)
def test_a_run_has_one_shape(kind: type[SourceContract]) -> None:
    sources = {type(known().source_at("http://127.0.0.1:9")): known for known in CONTRACTS}
    mine = type(kind().source_at("http://127.0.0.1:9"))
    for body in kind.bodies:
        recognising = [
            source
            for source, known in sources.items()
            if known().source_at("http://127.0.0.1:9").recognises(body)
        ]
        assert recognising == [mine]
        formats = [it for it in FORMATS if it.recognises(body)]
        assert len(formats) == (0 if mine is RenderFarm else 1)
