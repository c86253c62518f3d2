"""Laws of snapshots: any body with an id and a status gives one, any other a PayloadError."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.core.decider import decide
from tracker.core.snapshot import RunSnapshot
from tracker.core.state import initial_state
from tracker.errors import PayloadError
from tracker.event_store.codec import decode as decode_event
from tracker.event_store.codec import encode
from tracker.sources.agents.snapshots import glance as turn_glance
from tracker.sources.agents.snapshots import turn_snapshot
from tracker.sources.assistants.models import Run, RunStep
from tracker.sources.assistants.snapshots import glance, run_snapshot, step_snapshot
from tracker.sources.detection import FORMATS
from tracker.sources.documents import decode
from tracker.sources.http.api_keys import Secrets
from tracker.sources.http.error_mapping import map_error, read_message
from tracker.sources.langgraph.snapshots import glance as graph_glance
from tracker.sources.langgraph.snapshots import graph_run_snapshot
from tracker.sources.payload_format import PayloadFormat
from tracker.sources.responses.models import Response
from tracker.sources.responses.snapshots import glance as response_glance
from tracker.sources.responses.snapshots import response_snapshot

NOW = datetime(2026, 1, 1, tzinfo=UTC)

texts = st.text(max_size=8) | st.sampled_from(["tool_calls", "function", "name", "arguments", "id"])
numbers = st.integers() | st.floats() | st.integers(10**9, 10**19)
anything = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def documents(fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Returns documents with an id and a status, and anything in some of the other fields."""
    some = st.dictionaries(st.sampled_from(sorted(fields)), anything, max_size=6)
    named = st.fixed_dictionaries({"id": st.just("run_1"), "status": st.just("requires_action")})
    return st.tuples(named, some).map(lambda pair: pair[1] | pair[0])


def check_events(snapshot: RunSnapshot) -> None:
    """Checks that a snapshot is recorded as events that read back as equal events."""
    for event in decide(initial_state, snapshot):
        topic, stored = encode(event)
        assert decode_event(topic, stored) == event


@given(documents(Run.model_fields))
def test_a_run_of_anything(document: dict[str, Any]) -> None:
    snapshot = run_snapshot(document, "assistants", observed_at=NOW)
    assert snapshot.run_id == "run_1"
    check_events(snapshot)
    assert Run.model_validate(document).id == "run_1"


@given(documents(RunStep.model_fields))
def test_a_step_of_anything(document: dict[str, Any]) -> None:
    assert step_snapshot(document).step_id == "run_1"
    assert RunStep.model_validate(document).id == "run_1"


words_of_others = st.sampled_from(
    (
        *("function_call", "custom_tool_call_output", "mcp_approval_request", "call_id", "type"),
        *("id", "tasks", "interrupts", "next", "required_actions", "request", "arguments"),
        *("error", "value", "message", "execution", "agent", "name"),
    )
)
of_others = st.recursive(
    st.none() | st.booleans() | numbers | texts | words_of_others,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words_of_others, inner, max_size=4),
    max_leaves=10,
)
OF_A_TURN = (
    *("object", "session_id", "agent_id", "created_at", "started_at", "completed_at", "failed_at"),
    *("cancelled_at", "error", "usage", "agent", "required_actions"),
)
OF_A_GRAPH = (
    *("thread_id", "assistant_id", "created_at", "updated_at", "metadata", "state", "error"),
)
OTHERS = (
    (tuple(Response.model_fields), "completed", response_snapshot, response_glance),
    (OF_A_TURN, "waiting", turn_snapshot, turn_glance),
    (OF_A_GRAPH, "success", graph_run_snapshot, graph_glance),
    (OF_A_GRAPH, "error", graph_run_snapshot, graph_glance),
)


@pytest.mark.parametrize(("names", "status", "to_snapshot", "to_glance"), OTHERS)
@given(data=st.data())
def test_another_run_of_anything(
    names: tuple[str, ...], status: str, to_snapshot: Any, to_glance: Any, data: st.DataObject
) -> None:
    fields = st.sampled_from(sorted(names))
    document = data.draw(st.dictionaries(fields, anything | of_others, max_size=6))
    lists = st.lists(st.dictionaries(words_of_others, of_others), max_size=3)
    if data.draw(st.booleans()):
        document |= {"output": data.draw(lists), "required_actions": data.draw(lists)}
        document |= {"state": {"tasks": data.draw(lists), "next": data.draw(of_others)}}
    document |= {"id": "run_1", "run_id": "run_1", "status": status}
    snapshot = to_snapshot(document, "x", observed_at=NOW)
    assert snapshot.run_id == "run_1"
    check_events(snapshot)
    with suppress(PayloadError):
        to_glance(json.dumps(document).encode())


@pytest.mark.parametrize("payload_format", FORMATS, ids=[it.name for it in FORMATS])
@given(document=st.dictionaries(texts | words_of_others, anything))
def test_any_document_has_a_format_or_not(
    payload_format: PayloadFormat, document: dict[str, Any]
) -> None:
    assert payload_format.recognises(document) in (True, False)
    assert sum(other.recognises(document) for other in FORMATS) <= 1


@given(st.binary(max_size=60) | anything.map(lambda value: json.dumps(value).encode()))
def test_a_body_of_anything(body: bytes) -> None:
    others = (response_glance, turn_glance, graph_glance)
    for reading in (decode, glance, read_message, step_snapshot, *others):
        with suppress(PayloadError):
            reading(body)


@given(st.integers(200, 599), anything)
def test_an_error_of_anything(status: int, document: object) -> None:
    body = json.dumps(document).encode()
    error = map_error("GET /x", status, {}, body, now=NOW, secrets=Secrets("sk-4f1d9c22b7"))
    assert str(error).isprintable()
    assert len(str(error)) < 600
