"""Peculiarities of services: a name for each deviation from the documentation."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.corpus import lines, needs_corpus
from tracker.polling.metrics import Counters
from tracker.recording.observation import Observation
from tracker.sources import fields, peculiarities
from tracker.sources.asked import ANOTHER_ID
from tracker.sources.assistants.models import Run
from tracker.sources.assistants.snapshots import run_snapshot, step_snapshot
from tracker.sources.detection import detect_format

UNIX = 1_767_268_800
NOW = datetime.fromtimestamp(UNIX, UTC)
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
WAITS = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [CALL]}}
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def run(status: str = "completed", **more: Any) -> dict[str, Any]:
    """Returns a run of an Assistants service as documented, with other values for some fields."""
    whole: dict[str, Any] = {
        "id": "run_1",
        "object": "thread.run",
        "thread_id": "thread_1",
        "assistant_id": "asst_1",
        "model": "gpt-5",
        "status": status,
        "created_at": UNIX,
        "started_at": UNIX + 1,
        "expires_at": None,
        "completed_at": UNIX + 5 if status == "completed" else None,
        "usage": USAGE if status == "completed" else None,
        "last_error": None,
        "metadata": {},
    }
    return whole | more


def response(status: str = "completed", **more: Any) -> dict[str, Any]:
    ended = UNIX + 5 if status == "completed" else None
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7} if ended else None
    whole = {"id": "resp_1", "object": "response", "model": "gpt-5", "status": status}
    return whole | {"created_at": UNIX, "completed_at": ended, "output": [], "usage": usage} | more


def turn(status: str = "completed", **more: Any) -> dict[str, Any]:
    whole = response(status) | {"object": "agent.session.turn", "session_id": "sess_1"}
    return whole | more


def graph_run(status: str = "success", **more: Any) -> dict[str, Any]:
    ids = {"run_id": "run_1", "thread_id": "thread_1", "assistant_id": "asst_1"}
    stamps = {"created_at": "2026-01-01T12:00:00+00:00", "updated_at": "2026-01-01T12:00:05+00:00"}
    return {**ids, **stamps, "status": status, "metadata": {}} | more


def find(body: dict[str, Any]) -> set[str]:
    seen = detect_format(body).snapshot(body, "x", observed_at=NOW)
    return set(seen.peculiarities)


@pytest.mark.parametrize(
    "body",
    [
        run(),
        run("queued", started_at=None),
        run("requires_action", required_action=WAITS),
        run("failed", failed_at=UNIX + 5, last_error={"code": "server_error", "message": "no"}),
        run("cancelled", cancelled_at=UNIX + 5, usage=dict.fromkeys(USAGE, 0)),
        run("expired"),
        run("incomplete", incomplete_details={"reason": "max_prompt_tokens"}),
        response(),
        response("failed", error={"code": "server_error", "message": "no"}),
        response(output=[{"type": "function_call", "call_id": "call_1", "name": "f"}]),
        turn(),
        turn("waiting", required_actions=[{"type": "function_call", "call_id": "call_1"}]),
        graph_run(),
        graph_run("pending"),
    ],
)
def test_what_is_documented_is_not_peculiar(body: dict[str, Any]) -> None:
    assert find(body) == set()


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (run("pondering"), {"unknown_status"}),
        (run(object=None, model=None, created_at=None), {"no_object", "no_model", "no_created_at"}),
        (run("queued", created_at=UNIX * 1000), {"stamps_not_in_seconds"}),
        (run("queued", created_at=UNIX * 10**9), {"stamps_not_in_seconds"}),
        (run("queued", created_at=str(UNIX), started_at=0), {"stamps_as_text", "zero_stamps"}),
        (run("queued", started_at="", expires_at=-1), {"zero_stamps"}),
        (run(completed_at=None, usage=None), {"no_end_stamp", "no_usage"}),
        (run(completed_at=0), {"no_end_stamp", "zero_stamps"}),
        (run(usage=dict.fromkeys(USAGE, 0)), {"zero_usage"}),
        (run(usage=USAGE | {"total_tokens": 16}), {"tokens_not_adding_up"}),
        (run(usage=USAGE | {"total_tokens": -1}), {"negative_tokens"}),
        (run(usage={"prompt_tokens": 5}), set()),
        (run(usage=[], metadata=[]), {"empty_array_for_object", "no_usage"}),
        (run("failed", last_error="no"), {"error_as_text"}),
        (run("failed", last_error={"code": "tool_user_error"}), {"unknown_error_code"}),
        (run("requires_action"), {"action_without_calls"}),
        (
            run("requires_action", required_action={"type": "submit_tool_approval", "it": [CALL]}),
            {"unknown_action"},
        ),
        (response("dreaming", output=None), {"unknown_status", "no_output"}),
        (response(usage=USAGE), set()),
        (response(completed_at=None, error="no"), {"no_end_stamp", "error_as_text"}),
        (turn("waiting", session_id=None), {"no_session_id", "action_without_calls"}),
        (graph_run("dreaming"), {"unknown_status"}),
        (graph_run(created_at=UNIX), {"stamps_as_numbers"}),
        (graph_run(updated_at=None), {"no_updated_at", "no_end_stamp"}),
    ],
)
def test_what_is_peculiar_has_a_name(body: dict[str, Any], names: set[str]) -> None:
    assert find(body) == names


def test_the_observation_of_a_step_has_its_peculiarities() -> None:
    body = {"id": "step_1", "type": "tool_calls", "status": "completed", "usage": "none"}
    step = step_snapshot(body)
    entry = Observation.of_step("assistants", "run_1", None, step, datetime(2026, 1, 1, tzinfo=UTC))
    assert entry.peculiarities == step.peculiarities == {"unreadable_usage"}


def test_every_name_is_in_the_table_of_the_docstring() -> None:
    text = peculiarities.__doc__ or ""
    told = {name for name in re.findall(r"`(\w+)`", text) if name != "completed"}
    code = "".join(Path(it.__file__).read_text("utf-8") for it in (peculiarities, fields))
    names = re.findall(r'(?:yield |found\.add\()"(\w+)"', code)
    assert {*names, ANOTHER_ID} == told
    assert "`no_…`" in text


def test_a_run_of_the_client_tells_what_came() -> None:
    sent = run(created_at=UNIX * 1000)
    read = Run.model_validate(sent)
    read._body = sent
    seen = run_snapshot(read, "x", observed_at=NOW)
    assert seen.peculiarities == {"stamps_not_in_seconds"}


def test_they_are_counted_by_source() -> None:
    counters = Counters(lambda: None)
    one = Observation(
        "one:run_1", lambda state: [], peculiarities=frozenset({"no_usage", "no_model"})
    )
    counters.on_observed([one, one, one._replace(peculiarities=frozenset({"no_usage"}))])
    counters.on_observed([Observation("two:run_1", lambda state: [])])
    assert counters.peculiarities("one") == {"no_usage": 3, "no_model": 2}
    assert counters.peculiarities("two") == {}


@needs_corpus
def test_what_was_recorded_of_the_services_themselves_is_not_peculiar() -> None:
    recorded = [
        line["body"]
        for line in lines("runs.jsonl")
        if line["kind"] == "run"
        and line["class"] == "recorded"
        and line["source"].startswith(("openai/", "Azure-Samples/"))
    ]
    others = [body for line in lines("other_shapes.jsonl") for body in line["snapshots"]]
    assert (len(recorded), len(others)) == (68, 69)
    assert [names for body in [*recorded, *others] if (names := find(body))] == []
