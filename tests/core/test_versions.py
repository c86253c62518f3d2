"""Looks are newer than what is known by the version that the asker knew, not by the clocks."""

from datetime import timedelta

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from tests.support.observations import CALL, USAGE, at, ended, seen, statuses, waiting
from tracker.core import events as e
from tracker.core.decider import decide, fold
from tracker.core.other_decisions import decide_disappearance, decide_steps, decide_submission
from tracker.core.snapshot import RunSnapshot, StepSnapshot
from tracker.core.state import UNKNOWN_VERSION, RunState, initial_state

SHIFTS = st.floats(-7200, 7200).map(lambda seconds: timedelta(seconds=seconds))
# A run that waits, continues under its old start, and waits again for the same call.
LIFE = (
    seen("queued", 1),
    seen("in_progress", 2, started=1),
    waiting(4),
    seen("queued", 6, started=1),
    seen("in_progress", 8, started=7),
    waiting(10, started=7),
    seen("queued", 11, started=7),
    ended("completed", 14, 13, started=12, usage=USAGE),
)


def shifted(snapshot: RunSnapshot, by: timedelta) -> RunSnapshot:
    """Returns a look by a clock that is ahead by so much."""
    assert snapshot.asked_at is not None
    return snapshot.model_copy(
        update={"asked_at": snapshot.asked_at + by, "observed_at": snapshot.observed_at + by}
    )


@for_all(st.lists(SHIFTS, min_size=len(LIFE), max_size=len(LIFE)))
def test_looks_by_clocks_that_differ_tell_the_same_story(shifts: list[timedelta]) -> None:
    state, events = initial_state, list[e.Event]()
    for look, shift in zip(LIFE, shifts, strict=True):
        decided = decide(state, shifted(look, shift), state.version)
        state, events = fold(decided, state), [*events, *decided]
    expected = list[e.Event]()
    for look in LIFE:
        expected += decide(fold(expected), look)
    assert statuses(events) == statuses(expected)
    assert [type(event) for event in events] == [type(event) for event in expected]


@for_all(SHIFTS)
def test_a_look_that_was_overtaken_takes_nothing_back(shift: timedelta) -> None:
    known = fold([*decide(initial_state, LIFE[0]), *_after(LIFE[0], LIFE[1])])
    before = known.version
    moved_on = fold(decide(known, LIFE[2], before), known)
    late = shifted(seen("in_progress", 3, started=1), shift)
    assert decide(moved_on, late, before) == []


def _after(first: RunSnapshot, second: RunSnapshot) -> list[e.Event]:
    state = fold(decide(initial_state, first))
    return decide(state, second, state.version)


@pytest.mark.parametrize("shift", [timedelta(hours=-1), timedelta(), timedelta(hours=1)])
def test_a_run_reappears_and_vanishes_by_versions(shift: timedelta) -> None:
    state = fold(decide(initial_state, LIFE[1]))
    gone = decide_disappearance(state, at(5) + shift, state.version)
    assert [type(event) for event in gone] == [e.RunVanished]
    vanished = fold(gone, state)
    # Denied at a version that is no more.
    assert decide_disappearance(state, at(60), state.version - 1) == []
    again = decide(vanished, shifted(seen("in_progress", 7, started=1), shift), vanished.version)
    assert [type(event) for event in again] == [e.RunReappeared]


def test_steps_and_outputs_of_ours_are_no_news_of_the_run() -> None:
    state = fold(decide(initial_state, LIFE[2]))
    step = StepSnapshot(step_id="step_1", type="tool_calls", status="completed")
    events = [*decide_steps(state, [step], at(5)), *decide_submission(state, [CALL.id], at(5))]
    assert len(events) == 2
    assert fold(events, state).version == state.version


def test_a_document_that_just_came_is_not_outdated_by_a_clock_that_was_set_back() -> None:
    state = fold(decide(initial_state, ended("completed", 3700, 13)))
    assert state.usage is None
    late = ended("completed", 20, 13, usage=USAGE).model_copy(update={"asked_at": None})
    more = late.model_copy(update={"usage": USAGE.model_copy(update={"total_tokens": 16})})
    told = fold(decide(state, late, UNKNOWN_VERSION), state)
    assert told.usage == USAGE
    corrected = fold(decide(told, more, UNKNOWN_VERSION), told)
    assert corrected.usage == more.usage


def test_an_asker_who_knew_nothing_moves_a_run_on_and_not_back() -> None:
    state: RunState = fold(decide(initial_state, LIFE[1]))
    state = fold(decide(state, LIFE[2], UNKNOWN_VERSION), state)
    assert state.needs_action
    assert decide(state, seen("in_progress", 5, started=1), UNKNOWN_VERSION) == []
