"""The Responses resource of the simulated service, in background mode."""

from __future__ import annotations

from typing import Any

from tracker.core.status import FAILED, IN_PROGRESS, INCOMPLETE, QUEUED
from tracker.simulator.api.payloads import ERRORS
from tracker.simulator.model.catalogue import MODELS, REPLIES
from tracker.simulator.model.errors import Refused, check_metadata, wrong_type_error
from tracker.simulator.model.identifiers import make_id, stable_hash
from tracker.simulator.model.parameters import Parameters
from tracker.simulator.model.records import RunRecord
from tracker.simulator.model.response_life import find_call_step
from tracker.simulator.model.run_life import Life, Step
from tracker.simulator.model.world import World

_ECHOED = {
    "instructions": None,
    "max_output_tokens": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": None,
    "temperature": 1.0,
    "text": None,
    "tool_choice": "auto",
    "tools": None,
    "top_p": 1.0,
    "truncation": "disabled",
}


def create_response(
    world: World, now: float, body: dict[str, Any], parameters: Parameters | None = None
) -> RunRecord:
    """Starts a response; `parameters` apply to it alone.

    Raises Refused unless it runs in the background and has an output for each call of the
    previous response.
    """
    if not body.get("background"):
        raise Refused(
            "The simulator supports background mode only: set background=true.",
            param="background",
        )
    tools = [] if body.get("tools") is None else body["tools"]
    if not isinstance(tools, list):
        raise wrong_type_error("tools", "an array", tools)
    previous = body.get("previous_response_id")
    if previous is not None:
        _check_answers(world, now, previous, body.get("input"))
    conversation = body.get("conversation")
    record = RunRecord(
        id=world.new_id("resp"),
        thread_id=str(conversation["id"] if isinstance(conversation, dict) else conversation or ""),
        assistant_id="",
        model=str(body.get("model") or MODELS[0]),
        created_at=now,
        settings={key: value for key, value in body.items() if value is not None},
        tools=tools,
        metadata=check_metadata(body.get("metadata")),
        parameters=parameters or world.parameters,
    )
    world.responses[record.id] = record
    return record


def find_response(world: World, response_id: str) -> RunRecord:
    """Returns the response with this id. Raises Refused."""
    if response_id not in world.responses:
        raise Refused(f"Response with id '{response_id}' not found.", kind="unknown")
    return world.responses[response_id]


def cancel_response(world: World, now: float, record: RunRecord) -> None:
    """Cancels a response at once; does nothing if it is cancelled already. Raises Refused."""
    status = world.get_status(now, record)
    if status in (QUEUED, IN_PROGRESS):
        record.cancel_at = now
        record.revision += 1
    elif status != "cancelled":
        raise Refused(f"Cannot cancel a {status} response.")


def response_body(record: RunRecord, life: Life, now: float) -> dict[str, Any]:
    """Returns the body of a response at a given time."""
    moment = life.at(now)
    status, ended_at = moment.status, moment.ended_at
    tokens = life.tokens if ended_at is not None else None
    code = life.plan.error_code or "server_error"
    items = [
        item
        for step in life.steps
        if step.status == "completed" and step.ended_at <= now
        for item in list_output_items(record, step)
    ]
    return {
        "id": record.id,
        "object": "response",
        "created_at": int(record.created_at),
        "status": status,
        "background": True,
        "completed_at": int(ended_at) if ended_at and status == "completed" else None,
        "error": {"code": code, "message": ERRORS[code]} if status == FAILED else None,
        "incomplete_details": {"reason": life.plan.reason} if status == INCOMPLETE else None,
        "model": record.model,
        "output": items if ended_at is not None else [],
        "conversation": {"id": record.thread_id} if record.thread_id else None,
        "store": True,
        "usage": tokens.to_response_usage() if tokens else None,
        "metadata": dict(record.metadata),
        **{key: record.settings.get(key, value) for key, value in _ECHOED.items()},
        "tools": record.tools,
    }


def _check_answers(world: World, now: float, previous: object, inputs: object) -> None:
    if not isinstance(previous, str) or previous not in world.responses:
        raise Refused(
            f"Previous response with id '{previous}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    step = find_call_step(world.get_life(world.responses[previous]), now)
    items = inputs if isinstance(inputs, list) else []
    answered = {item.get("call_id") for item in items if isinstance(item, dict)}
    for call in step.calls if step else ():
        if call.id not in answered:
            raise Refused(f"No tool output found for function call {call.id}.", param="input")


def list_output_items(record: RunRecord, step: Step) -> list[dict[str, Any]]:
    """Returns the output items that a step adds to a response."""
    if step.planned.message_id is not None:
        text = REPLIES[stable_hash(step.planned.id) % len(REPLIES)]
        content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
        message = {"id": step.planned.message_id, "role": "assistant", "content": content}
        return [{"type": "message", "status": "completed", **message}]
    items: list[dict[str, Any]] = []
    for call in step.planned.calls:
        common = {"id": make_id("item", call.id), "status": "completed"}
        if call.type == "function":
            function = {"call_id": call.id, "name": call.function, "arguments": call.text}
            items.append({"type": "function_call", **common, **function})
        elif call.type == "code_interpreter":
            code = {"code": call.text, "container_id": make_id("cntr", record.id), "outputs": None}
            items.append({"type": "code_interpreter_call", **common, **code})
        else:
            items.append(
                {"type": "file_search_call", **common, "queries": [call.text], "results": None}
            )
    return items
