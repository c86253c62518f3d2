"""Responses: requests, snapshots, and chains of runs."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tracker import open_event_store
from tracker.core.decider import decide, fold
from tracker.core.events import (
    RunActionRequired,
    RunAnomalyObserved,
    RunCompleted,
    RunCreated,
    RunUsageReported,
)
from tracker.core.snapshot import Configuration, RunError, RunSnapshot, ToolCall
from tracker.core.usage import Usage
from tracker.errors import NotFound, PayloadError, SettingsError, UnusableAnswer
from tracker.import_export.importer import import_lines
from tracker.import_export.line_reader import Line
from tracker.recording.observation import Observation
from tracker.recording.repository import RunRepository
from tracker.runtime.clock import SystemClock
from tracker.sources import Responses
from tracker.sources.responses.snapshots import answers_in, glance, response_snapshot

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
UNIX = int(NOW.timestamp())
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "price"}


def body(status: str = "completed", **more: Any) -> dict[str, Any]:
    return {"id": "resp_1", "object": "response", "status": status, "created_at": UNIX, **more}


def snapshot(status: str = "completed", at: float = 0, **more: Any) -> RunSnapshot:
    moment = NOW + timedelta(seconds=at)
    return response_snapshot(body(status, **more), "responses", observed_at=moment, asked_at=moment)


def test_an_ordinary_response() -> None:
    seen = snapshot(
        completed_at=UNIX + 9,
        model="gpt-5",
        conversation={"id": "conv_1"},
        previous_response_id="resp_0",
        prompt={"id": "pmpt_1", "version": "2"},
        instructions="Be brief.",
        tools=[{"type": "function", "name": "price"}],
        temperature=1,
        max_output_tokens=None,
        service_tier="default",
        output=[{"type": "message", "content": []}],
        usage={
            "input_tokens": 30,
            "input_tokens_details": {"cached_tokens": 10},
            "output_tokens": 12,
            "output_tokens_details": {"reasoning_tokens": 4},
            "total_tokens": 42,
        },
        metadata={"team": "blue"},
    )
    assert seen == RunSnapshot(
        source="responses",
        run_id="resp_1",
        observed_at=NOW,
        asked_at=NOW,
        status="completed",
        thread_id="conv_1",
        assistant_id="pmpt_1",
        model="gpt-5",
        created_at=NOW,
        ended_at=NOW + timedelta(seconds=9),
        usage=Usage(
            prompt_tokens=30,
            completion_tokens=12,
            total_tokens=42,
            cached_tokens=10,
            reasoning_tokens=4,
            service_tier="default",
        ),
        service_tier="default",
        metadata={"team": "blue"},
        configuration=Configuration(
            instructions="Be brief.",
            tools=({"type": "function", "name": "price"},),
            settings={"temperature": 1.0},
        ),
        continues="resp_0",
    )


@pytest.mark.parametrize(
    ("output", "calls"),
    [
        (None, []),
        (["text", {}], []),
        ([{**CALL, "arguments": "{}"}], [ToolCall(id="call_1", name="price", arguments="{}")]),
        ([CALL, {"type": "function_call_output", "call_id": "call_1", "output": "4"}], []),
        (
            [CALL, {**CALL, "call_id": "call_2"}, {"type": "x_output", "call_id": "call_1"}],
            [ToolCall(id="call_2", name="price")],
        ),
        (
            [{"type": "mcp_approval_request", "id": "m1", "name": "pay", "arguments": '{"a": 1}'}],
            [ToolCall(id="m1", type="mcp_approval_request", name="pay", arguments='{"a": 1}')],
        ),
        (
            [
                {"type": "mcp_approval_request", "id": "m1"},
                {"type": "mcp_approval_response", "approval_request_id": "m1", "approve": True},
            ],
            [],
        ),
        ([{"type": "web_search_call", "id": "ws_1"}, {"type": "mcp_call", "id": "mcp_1"}], []),
        ([{"type": "tool_search_call", "call_id": "t1", "execution": "server"}], []),
        (
            [{"type": "computer_call", "call_id": "c1", "action": {"type": "click"}}],
            [ToolCall(id="c1", type="computer_call", arguments='{"type": "click"}')],
        ),
        (
            [{"type": "computer_call", "call_id": "c1", "actions": [{"type": "click"}]}],
            [ToolCall(id="c1", type="computer_call", arguments='[{"type": "click"}]')],
        ),
        (
            [
                {
                    "type": "computer_call",
                    "call_id": "c1",
                    "action": None,
                    "actions": [{"type": "move"}, {"type": "click"}],
                }
            ],
            [
                ToolCall(
                    id="c1",
                    type="computer_call",
                    arguments='[{"type": "move"}, {"type": "click"}]',
                )
            ],
        ),
        (
            [
                {
                    "type": "computer_call",
                    "call_id": "c1",
                    "action": {"type": "click"},
                    "actions": [],
                }
            ],
            [ToolCall(id="c1", type="computer_call", arguments='{"type": "click"}')],
        ),
        (
            [{"type": "custom_tool_call", "call_id": "c1", "name": "sql", "input": "SELECT 1"}],
            [ToolCall(id="c1", type="custom_tool_call", name="sql", arguments="SELECT 1")],
        ),
    ],
)
def test_calls_without_their_output_are_an_action(output: object, calls: list[ToolCall]) -> None:
    seen = snapshot(output=output, completed_at=UNIX + 9)
    assert list(seen.tool_calls) == calls
    assert seen.status == ("requires_action" if calls else "completed")
    assert seen.stays_waiting == bool(calls)
    assert seen.ended_at == NOW + timedelta(seconds=9)


@pytest.mark.parametrize("status", ["in_progress", "incomplete", "failed", "cancelled"])
def test_calls_of_one_that_did_not_complete_are_no_action(status: str) -> None:
    seen = snapshot(status, output=[CALL])
    assert (seen.status, seen.tool_calls) == (status, ())


def test_odd_and_missing_things() -> None:
    bare = response_snapshot({"id": "r", "status": "queued"}, "x", observed_at=NOW)
    lacks = frozenset({"no_object", "no_model", "no_created_at", "no_output"})
    assert bare == RunSnapshot(
        source="x", run_id="r", observed_at=NOW, status="queued", peculiarities=lacks
    )
    seen = snapshot(
        "dreaming",
        created_at=UNIX * 1000,
        completed_at=UNIX + 5,
        conversation="conv_2",
        agent={"type": "agent_reference", "name": "helper"},
        error="It broke.",
        usage={"prompt_tokens": 3, "completion_tokens": -1},
        metadata=[],
        instructions=[{"role": "system"}],
        previous_response_id="",
    )
    assert (seen.status, seen.created_at, seen.ended_at) == ("dreaming", NOW, None)
    assert (seen.thread_id, seen.assistant_id) == ("conv_2", "helper")
    assert (seen.error, seen.usage) == (RunError(message="It broke."), Usage(prompt_tokens=3))
    assert (seen.metadata, seen.continues) == ({}, None)
    assert seen.configuration == Configuration(instructions='[{"role": "system"}]')
    with pytest.raises(PayloadError, match="not a response: status"):
        response_snapshot({"id": "r"}, "x", observed_at=NOW)


def test_a_glance_differs_where_a_call_comes() -> None:
    one, two = (json.dumps(body(output=output)).encode() for output in ([], [CALL]))
    assert glance(one) != glance(two)
    longer = json.dumps(body(output=[{"type": "message", "text": "x" * 1000}])).encode()
    assert glance(one) == glance(longer)


Use = Callable[[Responses], Awaitable[Any]]


def call(use: Use, reply: httpx.Response) -> tuple[Any, list[httpx.Request]]:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return reply

    async def main() -> Any:
        transport = httpx.MockTransport(answer)
        async with Responses("https://host/v1", "sk-4f1d9c22b7", transport=transport) as api:
            return await use(api)

    return asyncio.run(main()), asked


def test_each_operation() -> None:
    reply = httpx.Response(200, json=body("queued"))
    made, [request] = call(
        lambda api: api.create(model="gpt-5", input="Hi", metadata={"a": "b"}), reply
    )
    assert (request.method, request.url.path) == ("POST", "/v1/responses")
    assert json.loads(request.content) == {
        "background": True,
        "input": "Hi",
        "metadata": {"a": "b"},
        "model": "gpt-5",
    }
    assert made.body == body("queued")
    _, [request] = call(lambda api: api.retrieve("resp_1"), reply)
    assert (request.method, request.url.path) == ("GET", "/v1/responses/resp_1")
    _, [request] = call(lambda api: api.cancel("resp_1"), reply)
    assert (request.method, request.url.path) == ("POST", "/v1/responses/resp_1/cancel")
    fetched, [request] = call(lambda api: api.fetch(None, "resp_1"), reply)
    assert json.loads(fetched.body) == body("queued")
    assert request.headers["authorization"] == "Bearer sk-4f1d9c22b7"
    other, _ = call(lambda api: api.fetch("conv_1", "resp_2"), reply)
    assert json.loads(other.body) == {**body("queued"), "id": "resp_2"}
    assert other.given_id == "resp_1"
    nameless = {name: value for name, value in body("queued").items() if name != "object"}
    with pytest.raises(UnusableAnswer, match="another id"):
        call(lambda api: api.fetch("conv_1", "resp_2"), httpx.Response(200, json=nameless))
    with pytest.raises(SettingsError, match=r"stream is not offered.* through tracker\.observing"):
        call(lambda api: api.create(input="Hi", stream=True), reply)


def test_one_that_the_service_forgot_is_not_there() -> None:
    error = {"error": {"message": "Response with id 'resp_1' not found.", "code": None}}
    with pytest.raises(NotFound):
        call(lambda api: api.fetch(None, "resp_1"), httpx.Response(404, json=error))


def test_what_the_input_answers() -> None:
    items = [
        "text",
        {"role": "user", "content": "Hi"},
        {"type": "function_call_output", "call_id": "call_1", "output": "4"},
        {"type": "mcp_approval_response", "approval_request_id": "m1", "approve": True},
    ]
    assert answers_in(items) == ["call_1", "m1"]
    assert answers_in("Hi") == []


WAITING = snapshot(at=10, output=[CALL], completed_at=UNIX + 9, usage={"total_tokens": 7})
NEXT = snapshot("queued", at=30, id="resp_2", previous_response_id="resp_1", created_at=UNIX + 20)


def test_a_wait_is_stamped_and_its_tokens_are_counted() -> None:
    events = decide(fold([]), WAITING)
    assert [type(event) for event in events] == [RunCreated, RunActionRequired, RunUsageReported]
    assert isinstance(events[1], RunActionRequired)
    assert events[1].occurred_at == NOW + timedelta(seconds=9)
    assert fold(events).usage == Usage(total_tokens=7)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_next_response_ends_the_wait_in_whatever_order_they_are_seen(
    order: tuple[int, ...],
) -> None:
    histories = RunRepository(open_event_store("memory://"))
    seen = [snapshot("in_progress", at=5), WAITING, NEXT]
    for number in order:
        looks = [Observation.of(seen[number]), Observation.of_predecessor(seen[number])]
        histories.record([entry for entry in looks if entry is not None])
    events = [entry.event for entry in histories.read("responses:resp_1")]
    [end] = [event for event in events if isinstance(event, RunCompleted)]
    assert (end.occurred_at, end.usage) == (NOW + timedelta(seconds=20), Usage(total_tokens=7))
    assert histories.state("responses:resp_1").is_ended
    again = Observation.of(WAITING.model_copy(update={"asked_at": NOW + timedelta(seconds=60)}))
    [observed] = histories.record([again])
    assert not observed.events  # type: ignore[union-attr]
    assert not [event for event in events if isinstance(event, RunAnomalyObserved)]


def test_a_file_of_both_ends_the_wait_too() -> None:
    store = open_event_store("memory://")
    following = {**body("queued", previous_response_id="resp_1"), "id": "resp_2"}
    bodies = [json.dumps(each).encode() for each in (following, body(output=[CALL]))]
    lines = [Line("runs.jsonl", number, each) for number, each in enumerate(bodies, 1)]
    report = import_lines(lines, store, source=None, clock=SystemClock())
    assert (report.snapshots, report.bad) == (2, [])
    histories = RunRepository(store)
    assert histories.state("responses:resp_1").status == "completed"
    assert histories.state("responses:resp_2").status == "queued"
