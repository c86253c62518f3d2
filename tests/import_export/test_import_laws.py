"""Laws of import: all that is taken in reads back, once, and no document harms another run."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.command_line import run_body
from tests.support.examples import examples
from tracker import EventStore, open_event_store
from tracker.core.decider import fold
from tracker.core.events import RunCreated, run_stream
from tracker.import_export.importer import ImportReport, import_lines
from tracker.import_export.line_reader import Line
from tracker.recording.repository import RunRepository
from tracker.runtime.clock import SystemClock

GOOD = run_body("run_good", thread_id="thread_good")
TEXTS = st.text(st.characters(codec="utf-8"), max_size=4) | st.sampled_from(
    [" ", "a:b", "\x00", "\u202e", "x" * 300, "\U0001f680" * 600, "thread_2", "run", "failed"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from([*run_body(), "required_action", "last_error", "instructions", "tools"])
STEPS = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["step_1", "step_2"]),
        "object": st.just("thread.run.step"),
        "run_id": st.sampled_from(["run_0", "run_1", "run_9"]),
        "thread_id": st.sampled_from(["thread_1", "thread_2"]),
        "status": st.sampled_from(["completed", "in_progress"]),
    }
)
STATUSES = st.sampled_from(["queued", "in_progress", "completed", "failed"])


@st.composite
def bodies(draw: st.DrawFn) -> Any:
    body = run_body(draw(st.sampled_from(["run_0", "run_1", "a:b"])), draw(STATUSES))
    body["thread_id"] = draw(st.sampled_from(["thread_1", "thread_1", "thread_2"]))
    return body | draw(st.dictionaries(FIELDS, JSON, max_size=2))


DOCUMENTS = bodies() | STEPS | JSON
WRAPPED = (
    DOCUMENTS
    | st.lists(DOCUMENTS, max_size=3)
    | DOCUMENTS.map(lambda it: {"object": "list", "data": [it]})
    | st.builds(lambda it, name: {"body": it, "source": name}, DOCUMENTS, TEXTS)
    | DOCUMENTS.map(lambda it: {"type": "thread.run.completed", "data": it})
)


def run_import(store: EventStore, documents: list[Any]) -> ImportReport:
    lines = [
        Line("runs.jsonl", number, json.dumps(document).encode())
        for number, document in enumerate(documents, 1)
    ]
    return import_lines(lines, store, source=None, clock=SystemClock())


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(WRAPPED, max_size=6), st.integers(0, 6))
def test_whatever_is_imported(documents: list[Any], place: int) -> None:
    store = open_event_store("memory://")
    report = run_import(store, [*documents[:place], GOOD, *documents[place:]])
    entries = store.read_all(limit=10_000)
    assert report.events == len(entries)
    assert report.runs == sum(isinstance(entry.event, RunCreated) for entry in entries)
    repository = RunRepository(store)
    for stream in {entry.stream for entry in entries if entry.event.topic.startswith("run.")}:
        history = [entry.event for entry in entries if entry.stream == stream]
        state = repository.state(stream)
        assert fold(history) == state
        assert stream == run_stream(state.source, state.run_id)
    again = run_import(store, [*documents, GOOD])
    assert (again.events, again.bad_lines) == (0, report.bad_lines)

    alone = open_event_store("memory://")
    run_import(alone, [GOOD])
    assert good_events(store) == good_events(alone)


def good_events(store: EventStore) -> list[Any]:
    """Returns the events of the good run without the times of the import."""
    events = [entry.event for entry in store.read("assistants:run_good")]
    return [event.model_dump(exclude={"observed_at", "not_before"}) for event in events]
