"""One field of any value costs its own reading, and no other."""

import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.core.decider import decide
from tracker.core.snapshot import RunSnapshot
from tracker.core.state import initial_state
from tracker.event_store.codec import decode, encode
from tracker.sources.assistants.snapshots import step_snapshot
from tracker.sources.detection import FORMATS
from tracker.sources.fields import text_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)
UNIX = 1_767_261_600
FORMAT = {it.name: it for it in FORMATS}

TEXT, STAMP, OBJECT, LIST = (str,), (int, float), (dict,), (list,)
# A name, or an object with one.
NAMED = (str, dict)


class Api(NamedTuple):
    """A run as documented; the types of its fields, and where in a snapshot each is read."""

    body: dict[str, Any]
    types: dict[str, tuple[type, ...]]
    readings: dict[str, set[str]]


def readings(*same: str, **others: str) -> dict[str, set[str]]:
    return {name: {name} for name in same} | {name: set(it.split()) for name, it in others.items()}


SETTINGS = ("temperature", "top_p", "tool_choice", "parallel_tool_calls")
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
APIS = {
    "assistants": Api(
        {
            "id": "run_1",
            "object": "thread.run",
            "status": "failed",
            "thread_id": "thread_1",
            "assistant_id": "asst_1",
            "model": "gpt-5",
            "created_at": UNIX,
            "started_at": UNIX + 1,
            "expires_at": UNIX + 600,
            "failed_at": UNIX + 10,
            "usage": USAGE,
            "last_error": {"code": "server_error", "message": "Sorry."},
            "metadata": {"user": "ann"},
            "instructions": "Be brief.",
            "tools": [{"type": "code_interpreter"}],
        },
        dict.fromkeys(("thread_id", "assistant_id", "model", "instructions"), TEXT)
        | dict.fromkeys(("created_at", "started_at", "expires_at", "failed_at"), STAMP)
        | dict.fromkeys(("usage", "last_error", "metadata", "incomplete_details"), OBJECT)
        | {"tools": LIST},
        readings(
            *("thread_id", "assistant_id", "model", "created_at", "started_at", "expires_at"),
            *("usage", "metadata"),
            last_error="error",
            incomplete_details="incomplete_reason",
            failed_at="ended_at",
            required_action="tool_calls",
            **dict.fromkeys(("instructions", "tools", "file_ids", *SETTINGS), "configuration"),
        ),
    ),
    "responses": Api(
        {
            "id": "resp_1",
            "object": "response",
            "status": "completed",
            "model": "gpt-5",
            "created_at": UNIX,
            "completed_at": UNIX + 10,
            "output": [{"type": "function_call", "call_id": "call_1", "name": "f"}],
            "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
            "conversation": {"id": "conv_1"},
            "previous_response_id": "resp_0",
            "metadata": {"user": "ann"},
            "tools": [],
        },
        dict.fromkeys(("model", "previous_response_id"), TEXT)
        | dict.fromkeys(("created_at", "completed_at"), STAMP)
        | dict.fromkeys(("usage", "error", "metadata", "incomplete_details"), OBJECT)
        | dict.fromkeys(("conversation", "agent", "prompt"), NAMED)
        | {"output": LIST, "tools": LIST},
        readings(
            *("model", "created_at", "usage", "metadata", "error"),
            completed_at="ended_at",
            conversation="thread_id",
            agent="assistant_id",
            prompt="assistant_id",
            previous_response_id="continues",
            incomplete_details="incomplete_reason",
            output="tool_calls status stays_waiting",
            **dict.fromkeys(("instructions", "tools", *SETTINGS), "configuration"),
        ),
    ),
    "agents": Api(
        {
            "id": "turn_1",
            "object": "agent.session.turn",
            "status": "waiting",
            "session_id": "session_1",
            "agent_id": "agent_1",
            "created_at": UNIX,
            "started_at": UNIX + 1,
            "agent": {"id": "agent_1", "model": "gpt-5", "tools": []},
            "required_actions": [{"type": "function_call", "call_id": "call_1", "name": "f"}],
            "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
        },
        dict.fromkeys(("session_id", "agent_id"), TEXT)
        | dict.fromkeys(("created_at", "started_at", "completed_at"), STAMP)
        | dict.fromkeys(("agent", "error", "usage"), OBJECT)
        | {"required_actions": LIST},
        readings(
            *("created_at", "started_at", "usage", "error"),
            session_id="thread_id",
            agent_id="assistant_id",
            agent="assistant_id model configuration",
            completed_at="ended_at",
            required_actions="tool_calls",
        ),
    ),
    "langgraph": Api(
        {
            "run_id": "run_1",
            "status": "error",
            "thread_id": "thread_1",
            "assistant_id": "asst_1",
            "created_at": "2026-01-01T10:00:00Z",
            "updated_at": "2026-01-01T10:00:10Z",
            "metadata": {"user": "ann"},
            "error": {"message": "boom"},
            "state": {"next": [], "tasks": []},
        },
        dict.fromkeys(("thread_id", "assistant_id", "created_at", "updated_at"), TEXT)
        | dict.fromkeys(("metadata", "error", "state"), OBJECT),
        readings(
            *("thread_id", "assistant_id", "created_at", "metadata", "error"),
            updated_at="ended_at",
            state="error tool_calls",
        ),
    ),
}

keys = st.text(max_size=4) | st.sampled_from(
    (
        *("id", "name", "type", "code", "message", "reason", "seconds", "nanos", "$date", "0"),
        *("prompt_tokens", "inputTokens", "total_tokens", "prompt_tokens_details", "call_id"),
        *("cached_tokens", "tool_calls", "function", "arguments", "error", "tasks", "next"),
        *("interrupts", "model", "tools", "instructions", "request", "output"),
    )
)
texts = st.text(max_size=8) | st.sampled_from(
    (
        *("10", "10.0", "-1", "null", "soon", "0001-01-01T00:00:00Z", "0000-00-00 00:00:00"),
        *("Thu, 01 Jan 2026 10:00:10 GMT", "9999-12-31T23:59:59.9999999Z", "function_call"),
        *("1767261600000", "\ud83d", "\x00", "a" * 3000),
    )
)
numbers = (
    st.integers()
    | st.floats()
    | st.sampled_from([2**63, 2**64, 10**400, -0.0, 10.5, UNIX, UNIX * 1000, 1e300])
    # Python refuses to write it.
    | st.just(5000).map(lambda digits: 10**digits)
)
anything = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=10,
)


def read(name: str, body: dict[str, Any]) -> RunSnapshot:
    return FORMAT[name].snapshot(body, "x", observed_at=NOW)


def differing(one: RunSnapshot, other: RunSnapshot) -> set[str]:
    names = RunSnapshot.model_fields.keys() - {"peculiarities"}
    return {name for name in names if getattr(one, name) != getattr(other, name)}


@pytest.mark.parametrize("name", APIS)
@given(data=st.data())
def test_a_field_of_any_value_costs_its_own_reading(name: str, data: st.DataObject) -> None:
    api = APIS[name]
    assert read(name, api.body).peculiarities == frozenset()
    field = data.draw(st.sampled_from(sorted(api.readings)))
    value = data.draw(anything)
    seen = read(name, api.body | {field: value})
    assert differing(seen, read(name, api.body)) <= api.readings[field]
    documented = api.types.get(field)
    if documented is not None and value is not None and type(value) not in documented:
        assert seen.peculiarities != frozenset()
    for event in decide(initial_state, seen):
        assert decode(*encode(event)) == event


@pytest.mark.parametrize("name", APIS)
@given(data=st.data())
def test_several_odd_fields_cost_each_its_own_reading(name: str, data: st.DataObject) -> None:
    api = APIS[name]
    fields = data.draw(st.lists(st.sampled_from(sorted(api.readings)), max_size=4))
    odd = {field: data.draw(anything) for field in fields}
    changed = set().union(*(api.readings[field] for field in odd))
    assert differing(read(name, api.body | odd), read(name, api.body)) <= changed


STEP = {
    "id": "step_1",
    "type": "tool_calls",
    "status": "completed",
    "created_at": UNIX,
    "completed_at": UNIX + 2,
    "step_details": {"type": "tool_calls", "tool_calls": [CALL]},
    "last_error": None,
    "usage": USAGE,
}
OF_A_STEP = readings(
    *("type", "created_at", "usage"),
    completed_at="ended_at",
    last_error="error",
    step_details="tools tool_call_ids",
)


@given(st.sampled_from(sorted(OF_A_STEP)), anything)
def test_a_field_of_a_step_costs_its_own_reading(field: str, value: object) -> None:
    plain, odd = step_snapshot(STEP), step_snapshot(STEP | {field: value})
    assert plain.peculiarities == frozenset()
    for name in type(plain).model_fields.keys() - {"peculiarities", *OF_A_STEP[field]}:
        assert getattr(odd, name) == getattr(plain, name)


@pytest.mark.parametrize("odd", [5, "call", None, [CALL], True])
@pytest.mark.parametrize("place", [0, 1])
def test_one_odd_call_costs_itself(odd: object, place: int) -> None:
    calls = [CALL]
    calls.insert(place, odd)  # type: ignore[arg-type]
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": calls}}
    body = APIS["assistants"].body | {"status": "requires_action", "required_action": action}
    seen = read("assistants", body)
    assert [call.id for call in seen.tool_calls] == ["call_1"]
    assert "unreadable_tool_calls" in seen.peculiarities
    step = step_snapshot(STEP | {"step_details": {"tool_calls": calls}})
    assert step.tool_call_ids == ("call_1",)
    turn = APIS["agents"].body["required_actions"]
    turns = [*turn[:place], odd, *turn[place:]]
    waiting = read("agents", APIS["agents"].body | {"required_actions": turns})
    assert [call.id for call in waiting.tool_calls] == ["call_1"]


@pytest.mark.parametrize(
    "calls", [CALL, {"1": CALL}, {"call_1": CALL}], ids=["one", "numbered", "by id"]
)
def test_an_object_of_calls(calls: object) -> None:
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": calls}}
    body = APIS["assistants"].body | {"status": "requires_action", "required_action": action}
    seen = read("assistants", body)
    assert [call.id for call in seen.tool_calls] == ["call_1"]
    assert "wrong_type_tool_calls" in seen.peculiarities


@given(anything)
def test_a_glance_of_anything_is_taken(value: object) -> None:
    for name, api in APIS.items():
        for field in api.readings:
            text = json.dumps(api.body | {field: text_of(value)}).encode()
            assert FORMAT[name].glance(text) is not None
