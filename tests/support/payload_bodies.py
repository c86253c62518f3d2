"""Bodies of runs and steps as their services send them."""

from typing import Any

BIRTH = 1_750_000_000
USAGE = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42}
TOKENS = {
    "input_tokens": 30,
    "input_tokens_details": {"cached_tokens": 10},
    "output_tokens": 12,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 42,
}


def assistants_run(status: str, **more: Any) -> dict[str, Any]:
    """Returns a run of the Assistants API."""
    return {
        "id": "run_1",
        "object": "thread.run",
        "thread_id": "thread_1",
        "assistant_id": "asst_1",
        "model": "gpt-4o",
        "status": status,
        "created_at": BIRTH,
        **more,
    }


def response(status: str, **more: Any) -> dict[str, Any]:
    """Returns a response of the Responses API."""
    return {
        "id": "resp_1",
        "object": "response",
        "status": status,
        "background": True,
        "created_at": BIRTH,
        "model": "gpt-5",
        "output": [],
        "usage": None,
        "error": None,
        "metadata": {"team": "blue"},
        "tools": [{"type": "function", "name": "price"}],
        **more,
    }


def turn(status: str, **more: Any) -> dict[str, Any]:
    """Returns a turn of the Agents API."""
    return {
        "id": "turn_1",
        "object": "agent.session.turn",
        "session_id": "sess_1",
        "agent_id": "agent_1",
        "status": status,
        "created_at": BIRTH,
        "started_at": None if status == "queued" else BIRTH + 2,
        "completed_at": None,
        "error": None,
        "usage": None,
        **more,
    }


def graph_run(status: str, updated: int = 0, **more: Any) -> dict[str, Any]:
    """Returns a run of LangGraph."""
    return {
        "run_id": "11111111-1111-1111-1111-111111111111",
        "thread_id": "22222222-2222-2222-2222-222222222222",
        "assistant_id": "33333333-3333-3333-3333-333333333333",
        "status": status,
        "created_at": "2025-06-15T15:06:40.250000+00:00",
        "updated_at": f"2025-06-15T15:06:{40 + updated}.500000+00:00",
        "metadata": {"created_by": "system"},
        "multitask_strategy": "enqueue",
        **more,
    }


ACTION = {
    "type": "submit_tool_outputs",
    "submit_tool_outputs": {
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "price"}}]
    },
}
APPROVAL = {
    "type": "submit_tool_approval",
    "submit_tool_approval": {"tool_calls": [{"id": "mcp_1", "type": "mcp", "name": "search"}]},
}
STEP = {
    "id": "step_1",
    "object": "thread.run.step",
    "run_id": "run_1",
    "thread_id": "thread_1",
    "type": "tool_calls",
    "status": "completed",
    "created_at": BIRTH + 2,
    "completed_at": BIRTH + 3,
    "step_details": {"type": "tool_calls", "tool_calls": []},
    "usage": USAGE,
}
