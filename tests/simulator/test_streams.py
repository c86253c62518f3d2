"""The simulator's streams, read by the official client over real HTTP."""

from contextlib import suppress
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.support.official_client import IGNORES_DEPRECATIONS
from tracker.simulator import Faults, Parameters, Simulator

QUICK: dict[str, Any] = {"time_scale": 0.02, "stretched": 0.0, "answers": "client"}
TOOL: Any = {"type": "function", "function": {"name": "price", "parameters": {"type": "object"}}}

pytestmark = [pytest.mark.integration, *IGNORES_DEPRECATIONS]


def list_names(events: list[Any]) -> list[str]:
    """Returns the names of the events, without repeated deltas."""
    found: list[str] = []
    for each in events:
        name = getattr(each, "event", None) or each.type
        if not (found and found[-1] == name and name.endswith("delta")):
            found.append(name)
    return found


def test_a_run_is_streamed_to_its_action_and_from_there_to_its_end() -> None:
    asking = Parameters.ending("completed", action=1.0, max_actions=1, **QUICK)
    with (
        Simulator(seed=3, parameters=asking) as simulator,
        OpenAI(
            api_key="sk-4f1d9c22b7", base_url=simulator.base_url, max_retries=0, timeout=300
        ) as client,
    ):
        thread = client.beta.threads.create()
        first = list(
            client.beta.threads.runs.create(
                thread.id, assistant_id="asst_1", tools=[TOOL], stream=True
            )
        )
        assert list_names(first)[:3] == [
            "thread.run.created",
            "thread.run.queued",
            "thread.run.in_progress",
        ]
        # The client does not pass `done` on.
        last: Any = first[-1]
        assert last.event == "thread.run.requires_action"
        assert last.data.id == simulator.run_ids()[0]
        calls = last.data.required_action.submit_tool_outputs.tool_calls
        second = list(
            client.beta.threads.runs.submit_tool_outputs(
                last.data.id,
                thread_id=thread.id,
                tool_outputs=[{"tool_call_id": call.id, "output": "1"} for call in calls],
                stream=True,
            )
        )
    sent = list_names(second)
    assert sent[0] in ("thread.run.queued", "thread.run.step.completed")
    assert sent[-1] == "thread.run.completed"
    assert "thread.message.delta" in sent
    assert sent.index("thread.message.delta") < sent.index("thread.message.completed")
    truth = simulator.truth(last.data.id)
    ended: Any = second[-1]
    assert truth.usage is not None
    assert ended.data.usage.total_tokens == truth.usage.total_tokens
    steps = {each.data.id for each in [*first, *second] if each.event.endswith("step.completed")}
    assert steps == {step.id for step in truth.steps}


@pytest.mark.parametrize("end", ["completed", "failed", "incomplete"])
def test_a_response_is_streamed_to_its_end(end: Any) -> None:
    with (
        Simulator(parameters=Parameters.ending(end, action=0.0, **QUICK)) as simulator,
        OpenAI(
            api_key="sk-4f1d9c22b7", base_url=simulator.base_url, max_retries=0, timeout=300
        ) as client,
    ):
        events: list[Any] = list(
            client.responses.create(model="gpt-5", input="Hi", background=True, stream=True)
        )
    assert list_names(events)[:3] == ["response.created", "response.queued", "response.in_progress"]
    assert events[-1].type == f"response.{end}"
    assert [each.sequence_number for each in events] == list(range(len(events)))
    shown = events[-1].response
    assert shown.status == end
    text = "".join(each.delta for each in events if each.type == "response.output_text.delta")
    assert text.split() == shown.output_text.split()


def test_a_cancelled_response_is_streamed_no_further() -> None:
    slow = Parameters.ending("completed", action=0.0, time_scale=5.0, stretched=0.0)
    with (
        Simulator(parameters=slow) as simulator,
        OpenAI(
            api_key="sk-4f1d9c22b7", base_url=simulator.base_url, max_retries=0, timeout=300
        ) as client,
    ):
        events: list[Any] = []
        stream = client.responses.create(model="gpt-5", input="Hi", background=True, stream=True)
        for event in stream:
            if not events:
                client.responses.cancel(event.response.id)  # type: ignore[union-attr]
            events.append(event)
    assert list_names(events) == ["response.created", "response.queued"]


def test_a_stream_breaks_where_an_answer_would_be_cut_off() -> None:
    plain = Parameters.ending("completed", action=0.0, **QUICK)
    with Simulator(parameters=plain, faults=Faults(cut=1.0, posts=True)) as simulator:
        body = {"model": "gpt-5", "background": True, "stream": True}
        got = b""
        with (
            httpx.Client(base_url=simulator.base_url) as client,
            client.stream("POST", "/responses", json=body) as answer,
            suppress(httpx.RemoteProtocolError),
        ):
            for piece in answer.iter_bytes():
                got += piece
        assert answer.headers["content-type"].startswith("text/event-stream")
    assert got.startswith(b"event: response.created\n")
    assert not got.endswith(b"\n\n")
    assert b"response.completed" not in got
