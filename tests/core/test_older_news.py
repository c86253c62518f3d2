"""Older news corrects nothing, and the times of a run's events never go back."""

from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.observations import CALL, START, at, document, ended, history, seen, waiting
from tracker.core.decider import decide, fold
from tracker.core.events import (
    Event,
    RunCompleted,
    RunMetadataChanged,
    RunUsageReported,
    RunVanished,
)
from tracker.core.other_decisions import (
    decide_continuation,
    decide_disappearance,
    decide_steps,
    decide_submission,
)
from tracker.core.snapshot import RunSnapshot, StepSnapshot
from tracker.core.state import RunState, initial_state
from tracker.core.usage import Usage
from tracker.testing import given as given_events


def used(tokens: int) -> Usage:
    return Usage(total_tokens=tokens)


def end(second: float, tokens: int | None = None, **more: Any) -> RunSnapshot:
    usage = None if tokens is None else used(tokens)
    return ended("completed", second, 8, usage=usage, **more)


def test_a_usage_that_is_corrected_and_corrected_back() -> None:
    looks = (end(10, 100), end(20, 500), end(30, 100))
    assert fold(given_events().when(*looks).decided).usage == used(100)
    history(*looks).when(
        end(10, 100), end(20, 500), end(30, 100), document("completed", 40)
    ).then_nothing()


def test_an_older_look_overwrites_nothing() -> None:
    newer = end(20, 500, metadata={"a": "2"}, model="new")
    older = end(10, 100, metadata={"a": "1"}, model="old")
    history(newer).when(older, older.model_copy(update={"asked_at": None})).then_nothing()


def test_an_older_look_fills_in_what_nobody_told() -> None:
    known = history(end(20)).when(end(10, 100, metadata={"a": "1"}))
    known.then(
        told := RunMetadataChanged(observed_at=at(20), previous={}, metadata={"a": "1"}),
        RunUsageReported(observed_at=at(20), usage=used(100)),
    )
    history(end(20)).when(seen("queued", 10, metadata={"a": "1"})).then(told)
    # That it has none was told.
    history(end(20, metadata={})).when(end(10, metadata={"a": "1"})).then_nothing()


def test_an_older_look_moves_no_open_run_unless_it_proves_progress() -> None:
    now = history(seen("in_progress", 20, started=12))
    now.when(seen("paused", 10, started=12), seen("requires_action", 11, started=12)).then_nothing()
    [started] = history(seen("queued", 20)).when(seen("in_progress", 10, started=9)).decided
    assert started.observed_at == at(20)
    [over] = now.when(ended("completed", 18, 17, started=12)).decided
    assert isinstance(over, RunCompleted)
    assert (over.observed_at, over.not_after) == (at(20), at(18))


def test_usage_told_while_a_run_waited_is_that_of_an_end_without_any() -> None:
    wait = waiting(5).model_copy(update={"usage": used(70)})
    known = history(wait).when(ended("completed", 9, 8))
    assert isinstance(known.decided[-1], RunCompleted)
    assert known.decided[-1].usage == used(70)
    [last] = [it for it in history(wait).when(end(9, 90)).decided if isinstance(it, RunCompleted)]
    assert last.usage == used(90)


def test_a_run_vanishes_a_second_time() -> None:
    known = given_events().when(seen("queued", 1)).decided
    known += decide_disappearance(fold(known), at(20))
    known += decide(fold(known), document("in_progress", 30, started=25))
    assert decide_disappearance(fold(known), at(40)) == [RunVanished(observed_at=at(40))]


def test_a_denial_from_before_the_last_look_is_old_news() -> None:
    known = given_events().when(seen("queued", 30)).decided
    assert decide_disappearance(fold(known), at(20)) == []


_moments = st.integers(0, 60).map(float)
_statuses = st.sampled_from(
    ["queued", "in_progress", "requires_action", "paused", "cancelling", "completed", "failed"]
)
_usages = st.none() | st.sampled_from([100, 500]).map(used)


@st.composite
def snapshots(draw: st.DrawFn, status: str | None = None) -> RunSnapshot:
    """Draws a look or a document, with any of its times."""
    second, status = draw(_moments), status or draw(_statuses)
    return seen(
        status,
        second,
        started=draw(st.none() | st.sampled_from([1.0, 20.0])),
        asked_at=draw(st.none() | st.just(at(second - draw(st.sampled_from([0.0, 0.1, 9.0]))))),
        created_at=draw(st.none() | st.just(START)),
        thread_id=draw(st.sampled_from([None, "thread_1", "thread_1", "thread_2"])),
        model=draw(st.sampled_from([None, "auto", "gpt-4o"])),
        metadata=draw(st.none() | st.sampled_from([{}, {"a": "1"}, {"a": "2"}])),
        expires_at=draw(st.none() | st.sampled_from([at(600), at(700)])),
        usage=draw(_usages),
        tool_calls=(CALL,) if status == "requires_action" else (),
    )


def decide_other(state: RunState, kind: str, moment: datetime) -> list[Event]:
    if kind == "steps":
        step = StepSnapshot(step_id=f"s{moment.second}", type="t", status="completed")
        return decide_steps(state, [step], moment)
    if kind == "submission":
        return decide_submission(state, [f"call_{moment.second}"], moment)
    if kind == "continuation":
        return decide_continuation(state, None, moment)
    return decide_disappearance(state, moment)


_others = st.tuples(
    st.sampled_from(["steps", "submission", "continuation", "disappearance"]), _moments
)


@settings(max_examples=300)
@given(st.lists(snapshots() | _others, min_size=2, max_size=8))
def test_times_never_go_back(news: list[Any]) -> None:
    state, events = initial_state, []
    for it in news:
        is_look = isinstance(it, RunSnapshot)
        decided = decide(state, it) if is_look else decide_other(state, it[0], at(it[1]))
        state = fold(decided, state)
        events += decided
        if is_look:
            assert decide(state, it) == []
    times = [event.observed_at for event in events]
    assert times == sorted(times)


@given(st.permutations([(1, 100, "1", "a"), (2, 500, "2", "b"), (3, 90, "3", "c")]), st.data())
def test_the_newest_look_is_right_in_any_order(
    looks: list[tuple[int, int, str, str]], data: st.DataObject
) -> None:
    state = initial_state
    for number, tokens, value, model in looks:
        look = end(10 * number, tokens, metadata={"a": value}, model=model)
        for _ in range(data.draw(st.integers(1, 2))):
            state = fold(decide(state, look), state)
    assert (state.usage, state.metadata, state.model) == (used(90), {"a": "3"}, "c")
