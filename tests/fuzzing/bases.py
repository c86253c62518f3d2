"""Documents to mutate: one of each shape, and the recorded and odd ones beside the project."""

import json
from collections.abc import Iterator
from typing import Any

from tests.support.agent_payloads import TURN
from tests.support.command_line import run_body
from tests.support.corpus import FOLDER
from tests.support.graph_payloads import graph_run, thread_state
from tests.support.odd_documents import FILE, make_input
from tests.support.payload_bodies import TOKENS

_ENDED = {"created_at": 1_767_261_600, "completed_at": 1_767_261_610}
_CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}


def make_bases() -> list[dict[str, Any]]:
    """Returns the documents; more where the recorded and the odd ones lie beside the project."""
    return [*_own_bases(), *_recorded(), *_odd()]


def _own_bases() -> Iterator[dict[str, Any]]:
    for status in ("queued", "in_progress", "cancelling", "cancelled", "expired", "completed"):
        yield run_body(
            "run_1", status, metadata={"team": "blue", "n": 1}, tools=[], instructions=""
        )
    calls = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [_CALL]}}
    yield run_body("run_1", "requires_action", required_action=calls)
    error = {"code": "server_error", "message": "It failed."}
    yield run_body("run_1", "failed", last_error=error, failed_at=1_750_000_011)
    yield {
        "id": "step_1",
        "object": "thread.run.step",
        "run_id": "run_1",
        "thread_id": "thread_1",
        "type": "tool_calls",
        "status": "completed",
        "step_details": {"type": "tool_calls", "tool_calls": [_CALL]},
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
        **_ENDED,
    }
    response = {"id": "resp_1", "object": "response", "model": "gpt-5", "background": True}
    yield {**response, "status": "queued", "created_at": 1_767_261_600, "output": []}
    yield {**response, "status": "completed", **_ENDED, "output": [], "usage": TOKENS}
    call = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
    yield {**response, "status": "completed", **_ENDED, "output": [call], "usage": TOKENS}
    answer = [{"type": "function_call_output", "call_id": "call_1", "output": "1"}]
    follows = {"previous_response_id": "resp_0", "input": answer, "tools": [{"type": "function"}]}
    yield {**response, "status": "failed", **_ENDED, **follows, "error": error}
    yield graph_run("running")
    yield graph_run("success", state=thread_state({"id": "i1", "value": {"question": "?"}}))
    yield graph_run("error", error={"error": "ValueError", "message": "no"})
    yield dict(TURN)
    yield {**TURN, "status": "completed", "completed_at": TURN["started_at"], "usage": TOKENS}
    action = {**call, "arguments": {"x": 1}}
    yield {**TURN, "status": "waiting", "required_actions": [action]}


def _recorded() -> Iterator[dict[str, Any]]:
    for file in sorted(FOLDER.glob("*.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            yield from _runs_in(json.loads(line))


def _odd() -> Iterator[dict[str, Any]]:
    if FILE.is_file():
        for line in FILE.read_text("utf-8").splitlines():
            found = [it for it in _runs_in(make_input(json.loads(line))) if _is_json(it)]
            # Some cases are thousands of runs.
            yield from found[:20]


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (ValueError, TypeError, RecursionError):
        return False
    return True


def _runs_in(value: Any) -> Iterator[dict[str, Any]]:
    """Yields the outermost objects that have a status and an id."""
    if isinstance(value, dict):
        if "status" in value and ("id" in value or "run_id" in value):
            yield value
        else:
            for inner in value.values():
                yield from _runs_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _runs_in(inner)
