"""Tests of the spans of a run, built from its events."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.support.generated_runs import Life, lives, looks
from tests.support.run_builder import changed, created, ended, rows_after, second, started, waiting
from tracker.core import events as e
from tracker.core.decider import decide, fold
from tracker.core.snapshot import RunError, RunSnapshot, ToolCall
from tracker.core.usage import Usage
from tracker.event_store import RecordedEvent
from tracker.observability.spans import SpanData, build_spans, find_usage

USAGE = Usage(
    prompt_tokens=100,
    completion_tokens=20,
    total_tokens=120,
    cached_tokens=60,
    reasoning_tokens=0,
)


def recorded(*events: e.Event, stream: str = "assistants:run_1") -> list[RecordedEvent]:
    return [RecordedEvent(n, stream, n, event) for n, event in enumerate(events, 1)]


def spans(*events: e.Event) -> list[SpanData]:
    return build_spans(recorded(*events), "openai")


def test_a_run_is_a_span_and_its_phases_are_below_it() -> None:
    events = [
        created(1, thread_id="thread_1", assistant_id="asst_1", model="gpt-4o"),
        started(3, 2, 1),
        waiting(9, 7, tool_calls=(ToolCall(id="call_1", name="price", arguments='{"a": 1}'),)),
        changed("in_progress", 20, 18, previous="requires_action"),
        ended(e.RunCompleted, 31, 30, 29, usage=USAGE),
    ]
    root, *phases = spans(*events)
    assert (root.name, root.parent_id, root.error) == ("invoke_agent", None, None)
    # The middles of the seconds that the stamps stand for.
    assert (root.start, root.end) == (second(0.499999), second(30.499999))
    assert root.attributes == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "openai",
        "gen_ai.agent.id": "asst_1",
        "gen_ai.conversation.id": "thread_1",
        "gen_ai.response.id": "run_1",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.reasoning.output_tokens": 0,
        "runfold.source": "assistants",
        "runfold.run.status": "completed",
    }
    assert [(span.name, span.attributes["runfold.phase.basis"]) for span in phases] == [
        ("queued", "server"),
        ("in_progress", "observed"),
        ("requires_action", "observed"),
        ("in_progress", "observed"),
    ]
    assert phases[2].attributes["runfold.phase.tools"] == ("price",)
    assert all("gen_ai.usage" not in name for span in phases for name in span.attributes)
    assert {span.parent_id for span in phases} == {root.span_id}
    assert {span.trace_id for span in phases} == {root.trace_id}
    # Arguments of tool calls are not exported.
    assert '{"a": 1}' not in repr([root, *phases])


def test_calls_that_change_are_still_one_wait() -> None:
    events = [
        created(1),
        waiting(5, 4, tool_calls=(ToolCall(id="a", name="price"),), previous="queued"),
        waiting(8, 7, tool_calls=(ToolCall(id="b", type="custom"),), previous="requires_action"),
        ended(e.RunExpired, 601, 600, 590, previous="requires_action"),
    ]
    root, *_, wait = spans(*events)
    assert wait.attributes["runfold.phase.tools"] == ("price", "custom")
    assert (root.error, root.attributes["error.type"]) == ("expired", "expired")
    assert root.attributes["runfold.run.status"] == "expired"


def test_errors_and_reasons_are_named_without_their_words() -> None:
    error = RunError(code="rate_limit_exceeded", message="the secret sk-123")
    [failed, *_] = spans(created(1), ended(e.RunFailed, 5, 4, 3, error=error))
    assert failed.error == failed.attributes["error.type"] == "rate_limit_exceeded"
    assert "sk-123" not in repr(failed)
    [unnamed, *_] = spans(created(1), ended(e.RunFailed, 5, 4, 3))
    assert unnamed.error == "_OTHER"
    cut = ended(e.RunIncomplete, 5, 4, 3, reason="max_completion_tokens")
    [incomplete, *_] = spans(created(1), cut)
    assert (incomplete.error, incomplete.attributes["runfold.run.reason"]) == (
        None,
        "max_completion_tokens",
    )
    assert not any(name.startswith("gen_ai.usage") for name in incomplete.attributes)


def test_a_correction_of_the_usage_counts_and_counts_once() -> None:
    more = Usage(prompt_tokens=200, completion_tokens=1)
    report = e.RunUsageReported(observed_at=second(40), previous=USAGE, usage=more)
    events = [created(1), ended(e.RunCompleted, 31, 30, 29, usage=USAGE), report]
    [root, *_] = spans(*events)
    assert root.attributes["gen_ai.usage.input_tokens"] == 200
    assert find_usage(recorded(*events)) == more
    assert find_usage(recorded(created(1))) is None


def test_a_run_that_has_not_ended_has_none() -> None:
    assert spans() == []
    assert spans(created(1), started(3, 2, 1)) == []


def test_ids_are_of_the_stream() -> None:
    events = [created(1), ended(e.RunCompleted, 31, 30, 29)]
    first = build_spans(recorded(*events), "openai")
    again = build_spans(recorded(*events), "azure.ai.openai")
    other = build_spans(recorded(*events, stream="assistants:run_2"), "openai")
    assert [span.span_id for span in first] == [span.span_id for span in again]
    assert first[0].trace_id == again[0].trace_id != other[0].trace_id
    assert not {span.span_id for span in first} & {span.span_id for span in other}
    assert 0 < first[0].trace_id < 2**128
    assert all(0 < span.span_id < 2**64 for span in first)


def told_of(seen: list[RunSnapshot]) -> list[e.Event]:
    events: list[e.Event] = []
    for snapshot in seen:
        events += decide(fold(events), snapshot)
    return events


@given(st.data(), st.booleans())
def test_the_spans_are_the_phases_of_the_tables(data: st.DataObject, stamps: bool) -> None:
    life: Life = data.draw(lives(stamps=stamps))
    events = told_of(data.draw(looks(life)))
    found = spans(*events)
    if not any(isinstance(event, e.RunEnded) for event in events):
        assert found == []
        return
    root, *children = found
    run, phases = rows_after(*events)
    if run.total_seconds is not None:
        assert root.end - root.start == timedelta(seconds=run.total_seconds)
    assert [(span.name, span.start, span.end) for span in children] == [
        (phase.status, phase.entered_at, phase.left_at) for phase in phases
    ]
    assert (children[0].start, children[-1].end) == (root.start, root.end)
    assert len({span.span_id for span in found}) == len(found)


def test_what_is_told_late_is_in_the_span_as_if_it_had_been_told_at_once() -> None:
    told = {"thread_id": "thread_1", "assistant_id": "asst_1", "model": "gpt-4o"}
    life = [started(3, 2, 1), ended(e.RunCompleted, 31, 30, 29)]
    late = e.RunIdentified(observed_at=second(40), created_at=second(0), **told)
    usage = e.RunUsageReported(observed_at=second(20), usage=USAGE)
    events = [created(1, occurred_at=None), usage, *life, late]
    [root, *phases] = spans(*events)
    [other, *same] = spans(created(1, **told), usage, *life)
    assert (root.start, root.end, root.attributes) == (other.start, other.end, other.attributes)
    assert [(it.start, it.end, it.attributes) for it in phases] == [
        (it.start, it.end, it.attributes) for it in same
    ]
    assert root.attributes["gen_ai.usage.input_tokens"] == 100
    assert find_usage(recorded(*events)) == USAGE
