"""Recorded runs of the other APIs, replayed; skipped without the corpus."""

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.corpus import lines, needs_corpus
from tracker.core.decider import decide, fold
from tracker.core.events import Event, RunAnomalyObserved, RunEnded
from tracker.core.snapshot import RunSnapshot
from tracker.sources import AgentTurns, Assistants, LangGraph, Responses, Source
from tracker.sources.detection import FORMATS
from tracker.sources.langgraph.snapshots import with_state
from tracker.sources.payload_format import PayloadFormat
from tracker.sources.stamps import read_stamp

pytestmark = needs_corpus

RECORDED = lines("other_shapes.jsonl")
NAMES = [f"{entry['shape']}-{entry.get('scenario', 'recorded')}" for entry in RECORDED]
SHAPE_NAMES = {"openai-responses": "responses", "langgraph-run": "langgraph"}
OUTCOMES = {
    "success": "completed",
    "error": "failed",
    "interrupted": "cancelled",
    "pending": "queued",
    "running": "in_progress",
}
START = datetime(2027, 1, 1, tzinfo=UTC)
SOURCES: list[Source] = [
    Assistants("http://127.0.0.1:9"),
    Responses("http://127.0.0.1:9"),
    AgentTurns("http://127.0.0.1:9"),
    LangGraph("http://127.0.0.1:9"),
]

each_recording = pytest.mark.parametrize("recording", RECORDED, ids=NAMES)


def format_of(recording: dict[str, Any]) -> PayloadFormat:
    return next(it for it in FORMATS if it.name == SHAPE_NAMES[recording["shape"]])


def bodies(recording: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns bodies as a source fetches them: the last one with the state of its thread."""
    found = list(recording["snapshots"])
    if recording.get("state_interrupts"):
        task = {"name": "agent", "interrupts": recording["state_interrupts"]}
        found[-1] = with_state(found[-1], {"next": [], "tasks": [task]})
    return found


def read_snapshots(recording: dict[str, Any]) -> list[RunSnapshot]:
    found = []
    for number, body in enumerate(bodies(recording)):
        moment = START + timedelta(seconds=number)
        found.append(format_of(recording).snapshot(body, "x", observed_at=moment, asked_at=moment))
    return found


def test_all_of_it_is_there() -> None:
    assert len(RECORDED) == 12
    assert {entry["shape"] for entry in RECORDED} == set(SHAPE_NAMES)


@each_recording
def test_nothing_of_a_body_is_lost(recording: dict[str, Any]) -> None:
    for body in bodies(recording):
        sent = json.dumps(body).encode()
        seen = format_of(recording).snapshot(sent, "x", observed_at=START)
        assert seen == format_of(recording).snapshot(body, "x", observed_at=START)
        assert seen.run_id == recording["run_id"]
        assert seen.created_at == read_stamp(body["created_at"])
        assert seen.metadata == body["metadata"]
        if not seen.tool_calls:
            assert seen.status == OUTCOMES.get(body["status"], body["status"])
        usage = body.get("usage")
        assert (seen.usage is None) == (usage is None)
        if seen.usage is not None:
            assert seen.usage.prompt_tokens == usage["input_tokens"]
            assert seen.usage.completion_tokens == usage["output_tokens"]
            assert seen.usage.total_tokens == usage["total_tokens"]
            assert seen.usage.cached_tokens == usage["input_tokens_details"]["cached_tokens"]
        if body.get("error"):
            assert seen.error is not None
            assert (seen.error.code, seen.error.message) == tuple(body["error"].values())
        if body.get("completed_at"):
            assert seen.ended_at == read_stamp(body["completed_at"])
        for name in ("model", "assistant_id", "thread_id"):
            if body.get(name):
                assert getattr(seen, name) == body[name]


@each_recording
def test_one_source_recognises_it(recording: dict[str, Any]) -> None:
    for body in bodies(recording):
        named = [source.name for source in SOURCES if source.recognises(body)]
        assert named == [SHAPE_NAMES[recording["shape"]]]


def test_no_other_source_recognises_a_recorded_assistants_run() -> None:
    runs = [line["body"] for line in lines("runs.jsonl") if line["kind"] == "run"]
    assert len(runs) > 150
    for body in runs:
        assert [source.name for source in SOURCES if source.recognises(body)] == ["assistants"]


@each_recording
def test_the_laws_hold_for_it(recording: dict[str, Any]) -> None:
    seen = read_snapshots(recording)
    events: list[Event] = []
    for look in seen:
        decided = decide(fold(events), look)
        assert decide(fold([*events, *decided]), look) == []
        events += decided
    # A stream that is read again from its middle shows old states, which move nothing back.
    ends = [event for event in events if isinstance(event, RunEnded)]
    replayed = len({(look.status, look.usage) for look in seen}) < len(recording["statuses"])
    assert replayed or not [event for event in events if isinstance(event, RunAnomalyObserved)]
    state = fold(events)
    if state.status == "requires_action":
        assert [call.type for call in state.tool_calls] == ["interrupt"]
    else:
        [end] = ends
        assert end.status == OUTCOMES.get(recording["statuses"][-1], recording["statuses"][-1])
    for look in random.Random(1).sample(seen, len(seen)):
        assert decide(state, look.model_copy(update={"asked_at": None})) == []
