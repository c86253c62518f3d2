"""Events of a stream that show a run or a step, in each form."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from openai.types.beta import AssistantStreamEvent
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from tracker.errors import PayloadError
from tracker.ingest.server_sent_events import ServerSentEvent
from tracker.sources.stream_events import StreamPayload, is_event, payload_in

RUN = {"id": "run_1", "object": "thread.run", "status": "queued", "thread_id": "thread_1"}
STEP = {"id": "step_1", "object": "thread.run.step", "status": "completed", "run_id": "run_1"}
RESPONSE = {"id": "resp_1", "object": "response", "status": "queued", "created_at": 1}
DELTA = {"type": "response.output_text.delta", "delta": 'the "response" is \\"response\\"'}


def wire(name: str, data: Mapping[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(name, json.dumps(data).encode())


def of_response(kind: str) -> dict[str, Any]:
    return {"type": kind, "sequence_number": 3, "response": RESPONSE}


@pytest.mark.parametrize("what", ["created", "queued", "requires_action", "expired", "brand_new"])
def test_an_event_of_a_run_shows_it(what: str) -> None:
    name, shown = f"thread.run.{what}", StreamPayload("run", RUN)
    assert payload_in(wire(name, RUN)) == shown
    assert payload_in(wire("", RUN)) == payload_in(wire("message", RUN)) == shown
    assert payload_in({"event": name, "data": RUN}) == shown
    assert payload_in({"event": name, "data": json.dumps(RUN)}) == shown


@pytest.mark.parametrize("what", ["created", "queued", "completed", "incomplete", "brand_new"])
def test_an_event_of_a_response_shows_it(what: str) -> None:
    name, shown = f"response.{what}", StreamPayload("run", RESPONSE)
    event = of_response(name)
    assert payload_in(wire(name, event)) == shown
    assert payload_in(wire("", event)) == payload_in(wire("message", event)) == shown
    assert payload_in(event) == shown
    assert payload_in({"event": name, "data": event}) == shown


@pytest.mark.parametrize("what", ["completed", "failed", "cancelled", "expired"])
def test_an_event_of_the_end_of_a_step_shows_it(what: str) -> None:
    step = {**STEP, "status": what}
    assert payload_in(wire(f"thread.run.step.{what}", step)) == StreamPayload("step", step)
    assert payload_in(wire("", step)) == StreamPayload("step", step)


@pytest.mark.parametrize(
    "event",
    [
        wire("thread.created", {"id": "thread_1", "object": "thread"}),
        wire("thread.run.step.created", {**STEP, "status": "in_progress"}),
        wire("", {**STEP, "status": "in_progress"}),
        wire("thread.message.completed", {"id": "msg_1", "object": "thread.message"}),
        wire("response.output_item.done", {"type": "response.output_item.done", "item": {}}),
        wire("response.output_text.delta", DELTA),
        wire("", DELTA),
        wire("", {"type": "response.output_text.delta", "response": RESPONSE}),
        wire("response.completed", {"type": "response.completed"}),
        {"type": "response.completed", "response": None},
        ServerSentEvent("done", b"[DONE]"),
        ServerSentEvent("", b"[DONE]"),
        ServerSentEvent("error", b"{}"),
        {},
        {"event": 5, "type": ["x"]},
        None,
        7,
        object(),
    ],
)
def test_others_show_nothing(event: object) -> None:
    assert payload_in(event) is None


@pytest.mark.parametrize("name", ["thread.run.step.delta", "thread.message.delta"])
@pytest.mark.parametrize("content", [b"{", b"\xff" * 100, b'{"object": "thread.run"}'])
def test_a_delta_is_not_read(name: str, content: bytes) -> None:
    assert payload_in(ServerSentEvent(name, content)) is None
    assert payload_in(ServerSentEvent("response.output_text.delta", content)) is None


@pytest.mark.parametrize(
    "event",
    [
        ServerSentEvent("thread.run.created", b"{"),
        ServerSentEvent("response.created", b"[1]"),
        ServerSentEvent("response.created", b'{"response": "resp_1"}'),
        ServerSentEvent("thread.run.created", b"\xff"),
        ServerSentEvent("thread.run.created", b"[" * 100_000),
        {"event": "thread.run.created", "data": 5},
        {"event": "thread.run.created"},
    ],
)
def test_what_cannot_be_read_says_so(event: object) -> None:
    with pytest.raises(PayloadError):
        payload_in(event)


def test_half_a_character_is_mended() -> None:
    data = b'{"id": "run_1", "status": "queued", "model": "\\ud83d"}'
    assert payload_in(ServerSentEvent("thread.run.queued", data)) == StreamPayload(
        "run", {"id": "run_1", "status": "queued", "model": "?"}
    )


def test_the_events_of_the_official_client_show_what_was_sent() -> None:
    kind: TypeAdapter[Any] = TypeAdapter(AssistantStreamEvent)
    run = {
        "assistant_id": "asst_1",
        "created_at": 1,
        "instructions": "",
        "model": "gpt-5",
        "parallel_tool_calls": True,
        "tools": [],
        **RUN,
    }
    typed = kind.validate_python({"event": "thread.run.queued", "data": run})
    assert payload_in(typed) == StreamPayload("run", run)
    responses: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    whole = {
        "model": "gpt-5",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        **RESPONSE,
    }
    sent = {"type": "response.queued", "sequence_number": 1, "response": whole}
    typed = responses.validate_python(sent)
    assert payload_in(typed) == StreamPayload("run", whole)
    assert payload_in(typed.model_dump()) is not None
    assert is_event(typed.model_dump())


def test_an_event_is_told_from_a_run() -> None:
    assert is_event(of_response("response.created"))
    assert is_event({"event": "thread.run.created", "data": RUN})
    for other in (RUN, STEP, RESPONSE, {}, {"id": "x", "status": "success"}, {"type": "response"}):
        assert not is_event(other)
