"""Classic agents of Foundry: versions, tokens on demand, and approvals."""

import asyncio
import json
from itertools import count
from typing import Any

import httpx
import pytest

from tracker import Tracker
from tracker.core.events import ToolOutputsSubmitted
from tracker.errors import KeyRefused
from tracker.polling.policy.cadence import Cadence
from tracker.sources import Assistants

PROJECT = "https://x.services.ai.azure.com/api/projects/demo"
APPROVAL = {
    "type": "submit_tool_approval",
    "submit_tool_approval": {
        "tool_calls": [
            {"id": "call_1", "type": "mcp", "name": "search", "server_label": "docs"},
        ]
    },
}


def run(status: str, **more: Any) -> dict[str, Any]:
    return {"id": "run_1", "object": "thread.run", "thread_id": "t", "status": status, **more}


def test_an_approval_is_asked_for_and_given_with_a_token_for_each_request() -> None:
    asked: list[httpx.Request] = []
    approved = False
    tokens = count(1)

    async def token() -> str:
        await asyncio.sleep(0)
        return f"token-{next(tokens)}"

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal approved
        asked.append(request)
        if request.url.path.endswith("/submit_tool_outputs"):
            approved = True
            return httpx.Response(200, json=run("in_progress", started_at=1_750_000_010))
        if approved:
            return httpx.Response(200, json=run("completed", completed_at=1_750_000_020))
        return httpx.Response(
            200, json=run("requires_action", started_at=1_750_000_001, required_action=APPROVAL)
        )

    async def scenario() -> None:
        api = Assistants(
            PROJECT,
            token,
            name="azure",
            beta=None,
            api_version="2025-05-01",
            transport=httpx.MockTransport(answer),
        )
        cadence = Cadence(shortest=0.02, longest=0.1, start=200.0)
        async with Tracker("memory://", api, cadence=cadence) as tracker:
            await tracker.watch("t", "run_1")
            state = await tracker.wait("run_1", timeout=300, until="actionable")
            [call] = state.tool_calls
            assert (call.id, call.type, call.name) == ("call_1", "mcp", "search")
            approvals = [{"tool_call_id": call.id, "approve": True}]
            await tracker.runs.submit_tool_outputs("t", "run_1", [], tool_approvals=approvals)
            assert (await tracker.wait("run_1", timeout=300)).status == "completed"
            events = [entry.event for entry in tracker.history("run_1")]
            [submitted] = [event for event in events if isinstance(event, ToolOutputsSubmitted)]
            assert submitted.tool_call_ids == ("call_1",)

    asyncio.run(scenario())
    [posted] = [request for request in asked if request.method == "POST"]
    assert json.loads(posted.content) == {
        "tool_approvals": [{"tool_call_id": "call_1", "approve": True}]
    }
    assert {request.url.params["api-version"] for request in asked} == {"2025-05-01"}
    assert {
        request.url.path.removeprefix("/api/projects/demo/threads/t/runs/run_1")
        for request in asked
    } == {
        "",
        "/submit_tool_outputs",
    }
    sent = [request.headers["authorization"] for request in asked]
    assert sent == [f"Bearer token-{number}" for number in range(1, len(asked) + 1)]
    assert not any("openai-beta" in request.headers for request in asked)


def test_a_token_that_cannot_be_had_is_no_failure_of_the_run() -> None:
    async def token() -> str:
        raise RuntimeError("secret-token-in-a-message")

    api = Assistants(PROJECT, token, beta=None, api_version="2025-05-01")
    with pytest.raises(KeyRefused) as raised:
        asyncio.run(api.fetch("t", "run_1"))
    assert "secret" not in str(raised.value)
