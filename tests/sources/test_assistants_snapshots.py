"""Snapshots of bodies of the Assistants API, ordinary and odd."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tracker.core.snapshot import Configuration, RunError, RunSnapshot, ToolCall
from tracker.core.usage import Usage
from tracker.errors import PayloadError
from tracker.sources.assistants.models import Run
from tracker.sources.assistants.snapshots import glance, run_snapshot, step_snapshot

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
UNIX = int(NOW.timestamp())


def body(status: str = "queued", **more: Any) -> dict[str, Any]:
    return {"id": "run_1", "object": "thread.run", "status": status} | more


def snapshot(status: str = "queued", **more: Any) -> RunSnapshot:
    return run_snapshot(body(status, **more), "assistants", observed_at=NOW)


def test_an_ordinary_run() -> None:
    sent = body(
        "completed",
        thread_id="thread_1",
        assistant_id="asst_1",
        model="gpt-5",
        created_at=UNIX,
        started_at=UNIX + 1,
        expires_at=None,
        completed_at=UNIX + 5,
        instructions="Be brief.",
        tools=[{"type": "function", "function": {"name": "price", "strict": None}}],
        temperature=1,
        top_p=None,
        truncation_strategy={"type": "auto", "last_messages": None},
        usage={"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        metadata={"user": "ann"},
    )
    assert run_snapshot(
        json.dumps(sent).encode(), "azure", observed_at=NOW, asked_at=NOW, unchanged_until=NOW
    ) == RunSnapshot(
        source="azure",
        run_id="run_1",
        observed_at=NOW,
        asked_at=NOW,
        unchanged_until=NOW,
        status="completed",
        thread_id="thread_1",
        assistant_id="asst_1",
        model="gpt-5",
        created_at=NOW,
        started_at=NOW + timedelta(seconds=1),
        ended_at=NOW + timedelta(seconds=5),
        usage=Usage(prompt_tokens=10, completion_tokens=5, total_tokens=15),
        metadata={"user": "ann"},
        configuration=Configuration(
            instructions="Be brief.",
            tools=({"type": "function", "function": {"name": "price", "strict": None}},),
            settings={
                "temperature": 1.0,
                "truncation_strategy": {"type": "auto", "last_messages": None},
            },
        ),
    )


def test_the_least_that_is_a_run() -> None:
    lacks = {"no_thread_id", "no_assistant_id", "no_model", "no_created_at"}
    assert snapshot() == RunSnapshot(
        source="assistants",
        run_id="run_1",
        observed_at=NOW,
        status="queued",
        peculiarities=frozenset(lacks),
    )


@pytest.mark.parametrize(
    ("status", "stamps", "ended"),
    [
        ("completed", {"completed_at": UNIX}, NOW),
        ("failed", {"failed_at": UNIX}, NOW),
        ("cancelled", {"cancelled_at": UNIX}, NOW),
        ("expired", {"completed_at": UNIX}, NOW),
        ("incomplete", {"completed_at": UNIX * 1000}, NOW),
        ("failed", {"completed_at": 0, "failed_at": UNIX}, NOW),
        ("expired", {}, None),
        ("in_progress", {"completed_at": UNIX}, None),
        ("paused", {"cancelled_at": UNIX}, None),
    ],
)
def test_only_what_ended_has_an_end(
    status: str, stamps: dict[str, int], ended: datetime | None
) -> None:
    assert snapshot(status, **stamps).ended_at == ended


@pytest.mark.parametrize(
    ("sent", "usage"),
    [
        (None, None),
        ({}, None),
        ([], None),
        ({"other": 3}, None),
        ({"prompt_tokens": -1}, None),
        (
            {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
            Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0),
        ),
        (
            {
                "prompt_tokens": 9,
                "prompt_token_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
            Usage(prompt_tokens=9, cached_tokens=4, reasoning_tokens=2),
        ),
        ({"prompt_tokens_details": {"cached_tokens": 0}}, Usage(cached_tokens=0)),
        ({"total_tokens": "7", "prompt_token_details": None}, Usage(total_tokens=7)),
    ],
)
def test_tokens_are_what_the_service_said(sent: object, usage: Usage | None) -> None:
    assert snapshot("completed", usage=sent).usage == usage


CALL = {"id": "call_1", "type": "function", "function": {"name": "price", "arguments": '{"a": 1}'}}


@pytest.mark.parametrize(
    ("action", "calls"),
    [
        (None, []),
        ([], []),
        ({"type": "submit_tool_outputs"}, []),
        ({"type": "submit_tool_outputs", "submit_tool_outputs": None}, []),
        (
            {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [CALL]}},
            [ToolCall(id="call_1", name="price", arguments='{"a": 1}')],
        ),
        (
            {
                "type": "submit_tool_approval",
                "submit_tool_approval": {
                    "reason": ["why"],
                    "tool_calls": [
                        {"id": "mcp_1", "type": "mcp", "name": "search", "arguments": '{"q": 1}'}
                    ],
                },
            },
            [ToolCall(id="mcp_1", type="mcp", name="search", arguments='{"q": 1}')],
        ),
        (
            {"type": "new", "new": {"requests": [{"type": "wanx", "wanx": {"prompt": "ä"}}]}},
            [ToolCall(id="call 1", type="wanx", arguments='{"prompt": "ä"}')],
        ),
        (
            {"type": "new", "calls": [{"tool_call_id": "c", "function": {"arguments": {"a": 1}}}]},
            [ToolCall(id="c", arguments='{"a": 1}')],
        ),
        ({"type": "new", "calls": ["text", {"id": "c"}]}, [ToolCall(id="c")]),
    ],
)
def test_any_type_of_action_shows_its_calls(action: object, calls: list[ToolCall]) -> None:
    assert list(snapshot("requires_action", required_action=action).tool_calls) == calls


def test_a_run_that_went_on_waits_for_no_calls() -> None:
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [CALL]}}
    assert snapshot("in_progress", required_action=action).tool_calls == ()
    assert len(snapshot("waiting_for_you", required_action=action).tool_calls) == 1


def test_values_outside_the_documented_sets_are_kept() -> None:
    seen = snapshot(
        "dreaming",
        last_error={"code": "tool_user_error", "message": "No."},
        incomplete_details={"reason": "bored"},
        tools=[{"type": "bing_grounding", "bing_grounding": {"x": [1]}}],
        metadata={"n": 3, "nested": {"a": None}},
        parallel_tool_calls=False,
        future_field=[1],
    )
    assert seen.status == "dreaming"
    assert seen.error == RunError(code="tool_user_error", message="No.")
    assert seen.incomplete_reason == "bored"
    assert seen.metadata == {"n": 3, "nested": {"a": None}}
    assert seen.configuration == Configuration(
        tools=({"type": "bing_grounding", "bing_grounding": {"x": [1]}},),
        settings={"parallel_tool_calls": False},
    )


def test_empty_things_of_other_languages() -> None:
    seen = snapshot(metadata=[], last_error="It broke.", incomplete_details=[], tools=None)
    assert (seen.metadata, seen.error) == ({}, RunError(message="It broke."))
    assert seen.configuration == Configuration()


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"status": "queued"}, "id: Field required"),
        ({"id": "run_1"}, "status: Field required"),
        ({"id": "run_1", "status": None}, "status: Input should be a valid string"),
        ({"id": "", "status": "queued"}, "run_id: String should have at least 1"),
        ({"id": 3, "status": "queued"}, "id: Input should be a valid string"),
        ({}, "id: Field required; status: Field required"),
        (b"{", "not JSON"),
    ],
)
def test_what_is_not_a_run_is_refused_by_name(sent: Any, says: str) -> None:
    with pytest.raises(PayloadError) as raised:
        run_snapshot(sent, "assistants", observed_at=NOW)
    assert says in str(raised.value)


def test_a_glance_differs_where_something_tracked_does() -> None:
    plain = json.dumps(body(usage=None, instructions="a")).encode()
    assert glance(plain) == glance(json.dumps(body(usage=None, instructions="b")).encode())
    for name, value in {
        "status": "x",
        "usage": {},
        "metadata": {"a": "b"},
        "expires_at": 1,
    }.items():
        assert glance(plain) != glance(json.dumps(body(usage=None) | {name: value}).encode())
    assert glance(b'{"id": "run_1", "status": "\\ud83d"}') == {"id": "run_1", "status": "?"}
    for broken in (b"[]", b"{", b'{"id": 3}'):
        with pytest.raises(PayloadError):
            glance(broken)


def test_a_step() -> None:
    calls = [CALL, {"id": "call_2", "type": "code_interpreter", "code_interpreter": {}}, {}]
    sent = {
        "id": "step_1",
        "type": "tool_calls",
        "status": "expired",
        "created_at": UNIX,
        "expired_at": UNIX + 2,
        "step_details": {"type": "tool_calls", "tool_calls": calls},
        "last_error": {"code": "server_error", "message": "Sorry."},
        "usage": {"total_tokens": 3},
    }
    step = step_snapshot(json.dumps(sent).encode())
    assert step.tools == ("price", "code_interpreter", "unknown")
    assert step.tool_call_ids == ("call_1", "call_2")
    assert (step.created_at, step.ended_at) == (NOW, NOW + timedelta(seconds=2))
    assert (step.usage, step.error) == (
        Usage(total_tokens=3),
        RunError(code="server_error", message="Sorry."),
    )
    bare = step_snapshot({"id": "step_1", "status": "in_progress", "completed_at": UNIX})
    assert (bare.type, bare.tools, bare.ended_at) == ("unknown", (), None)
    with pytest.raises(PayloadError, match="not a step: status"):
        step_snapshot({"id": "step_1"})


def test_a_run_dumps_what_was_sent() -> None:
    sent = body(created_at=UNIX, future={"a": 1}, tools=[{"type": "mcp", "mcp": {"b": [2]}}])
    run = Run.model_validate(sent)
    assert run.model_dump(mode="json", exclude_unset=True) == sent == run.body
    assert run.created_at == NOW
    assert run == Run.model_validate(sent) != Run.model_validate(body(created_at=UNIX))
    assert run.answer is None
