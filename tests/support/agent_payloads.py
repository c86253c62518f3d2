"""A session of the Agents API with a turn, as the service shows them."""

from datetime import UTC, datetime

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


UNIX = int(NOW.timestamp())


TURN = {
    "id": "turn_1",
    "object": "agent.session.turn",
    "session_id": "sess_1",
    "agent_id": "agent_1",
    "status": "in_progress",
    "created_at": UNIX,
    "started_at": UNIX + 1,
}


ACTION = {"type": "function_call", "call_id": "call_1", "name": "price", "turn_id": "turn_1"}


SESSION = {
    "id": "sess_1",
    "object": "agent.session",
    "agent": {
        "id": "agent_1",
        "model": "gpt-6",
        "instructions": "Be brief.",
        "tools": [],
        "multi_agent": {"enabled": False},
    },
    "required_actions": [
        {**ACTION, "arguments": {"a": 1}},
        {**ACTION, "call_id": "call_2", "turn_id": "turn_2"},
        {"type": "environment_connection", "environment_id": "env_1"},
        {
            "type": "mcp_approval_request",
            "request_id": "req_1",
            "turn_id": "turn_1",
            "request": {"type": "mcp_tool_call", "name": "pay", "arguments": {"eur": 3}},
        },
    ],
}
