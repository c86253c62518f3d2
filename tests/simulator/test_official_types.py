"""The bodies of the simulator, validated by the types of the official client."""

from typing import Any

import httpx
import pytest
from openai.types.beta import Thread
from openai.types.beta.agent_session import AgentSession
from openai.types.beta.agents.sessions.turn import Turn
from openai.types.beta.subagent import Subagent
from openai.types.beta.threads import Message, Run
from openai.types.beta.threads.runs import RunStep
from openai.types.responses import Response
from pydantic import BaseModel, TypeAdapter

from tracker.simulator import ManualClock, Parameters, Simulator

pytestmark = pytest.mark.integration

TOOLS = [{"type": "function", "function": {"name": "price", "parameters": {}}}]
FUNCTIONS = [{"type": "function", "name": "price", "parameters": {}, "strict": None}]
ENDS = ("completed", "failed", "incomplete", "cancelled")


def check_list(page: dict[str, Any], model: type[BaseModel]) -> None:
    assert page["object"] == "list"
    assert isinstance(page["has_more"], bool)
    entries = page["data"]
    TypeAdapter(list[model]).validate_python(entries)  # type: ignore[valid-type]
    ends = (entries[0]["id"], entries[-1]["id"]) if entries else (None, None)
    assert (page["first_id"], page["last_id"]) == ends


@pytest.mark.parametrize("end", ENDS)
def test_every_body_is_of_its_type(end: Any) -> None:
    clock = ManualClock()
    parameters = Parameters.ending(end, action=1.0, answers="client", stretched=0.0)
    with (
        Simulator(clock=clock, parameters=parameters) as sim,
        httpx.Client(base_url=sim.base_url) as client,
    ):

        def ask(path: str, body: dict[str, Any] | None = None) -> Any:
            reply = client.get(path) if body is None else client.post(path, json=body)
            assert reply.status_code == 200, reply.text
            return reply.json()

        thread = ask("/threads", {})["id"]
        TypeAdapter(Thread).validate_python(ask(f"/threads/{thread}"))
        check_list(ask(f"/threads/{thread}/messages"), Message)
        check_list(ask(f"/threads/{thread}/runs"), Run)
        for content in ("Hi", [{"type": "text", "text": "Hi"}]):
            sent = ask(f"/threads/{thread}/messages", {"role": "user", "content": content})
            message = TypeAdapter(Message).validate_python(sent)
            assert message.content[0].text.value == "Hi"  # type: ignore[union-attr]
        path = f"/threads/{thread}/runs"
        run = ask(path, {"assistant_id": "asst_1", "tools": TOOLS})["id"]
        asked = {"model": "gpt-5", "input": "Hi", "background": True, "tools": FUNCTIONS}
        response = ask("/responses", asked)["id"]
        for _ in range(4):
            TypeAdapter(Run).validate_python(ask(f"{path}/{run}"))
            TypeAdapter(Response).validate_python(ask(f"/responses/{response}"))
            check_list(ask(path), Run)
            check_list(ask(f"{path}/{run}/steps"), RunStep)
            check_list(ask(f"/threads/{thread}/messages"), Message)
            if sim.truth(run).status == "requires_action":
                sim.submit_outputs(run)
            clock.advance(300)


AGENT_TOOLS = [
    {
        "type": "function",
        "name": "price",
        "description": "The price of a thing.",
        "parameters": {"type": "object", "properties": {}},
        "defer_loading": False,
    }
]


@pytest.mark.parametrize("end", ENDS)
def test_every_body_of_a_session_is_of_its_type(end: Any) -> None:
    clock = ManualClock()
    parameters = Parameters.ending(end, action=1.0, answers="client", stretched=0.0)
    with (
        Simulator(clock=clock, parameters=parameters) as sim,
        httpx.Client(base_url=sim.base_url) as client,
    ):

        def ask(path: str) -> Any:
            reply = client.get(path)
            assert reply.status_code == 200, reply.text
            return reply.json()

        created = sim.create_session(subagents=2, overhead=5, tools=AGENT_TOOLS)
        path, statuses = f"/agents/sessions/{created['id']}", []
        for _ in range(4):
            session = ask(path)
            TypeAdapter(AgentSession).validate_python(session)
            statuses.append(session["status"])
            check_list(ask(f"{path}/turns"), Turn)
            subagents = ask(f"{path}/subagents")
            check_list(subagents, Subagent)
            for subagent in subagents["data"]:
                below = f"{path}/subagents/{subagent['id']}"
                TypeAdapter(Subagent).validate_python(ask(below))
                turns = ask(f"{below}/turns")
                check_list(turns, Turn)
                [turn] = turns["data"]
                assert turn["subagent_id"] == subagent["id"]
                TypeAdapter(Turn).validate_python(ask(f"{below}/turns/{turn['id']}"))
            for turn_id in sim.turns(created["id"]) if statuses[-1] == "requires_action" else ():
                sim.submit_outputs(turn_id)
            clock.advance(300)
        assert statuses[0] == "in_progress"
        assert {"requires_action", "idle"} <= {*statuses}
        assert {it["status"] for it in ask(f"{path}/turns")["data"]} <= {end, "failed"}
    for lost in ("", "/turns/turn_0", "/subagents/s", "/subagents/s/turns"):
        with Simulator() as sim:
            assert httpx.get(f"{sim.base_url}/agents/sessions/sess_0{lost}").status_code == 404
