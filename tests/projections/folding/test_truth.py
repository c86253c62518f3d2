"""Rows of runs, compared with the true life of each run."""

from bisect import bisect
from datetime import timedelta
from itertools import pairwise

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from projections.folding.run_row import RunHistory
from projections.folding.status_trace import fold
from tests.support.examples import examples
from tests.support.generated_runs import Life, lives, looks
from tests.support.run_builder import run_row
from tracker.core import events as e
from tracker.core.decider import decide
from tracker.core.decider import fold as fold_state
from tracker.core.snapshot import RunSnapshot
from tracker.core.state import initial_state
from tracker.core.status import is_ended
from tracker.event_store.store import RecordedEvent

_COLUMNS = {"queued": "queued_seconds", "requires_action": "action_seconds"}


def true_seconds(life: Life) -> dict[str, float]:
    """Returns the true durations of a life by column."""
    seconds = dict.fromkeys(("queued_seconds", "running_seconds", "action_seconds"), 0.0)
    for state, following in pairwise(life.states):
        column = _COLUMNS.get(state.status, "running_seconds")
        seconds[column] += (following.observed_at - state.observed_at).total_seconds()
    return seconds


def is_provable(life: Life, seen: list[RunSnapshot]) -> bool:
    """True if each poll, compared with the one before, shows all changes between them.

    The fold assumes two things: that the start observed after a queue is the one that ended it,
    and, for services without start times, that no pause for an action was missed.
    """
    if life.states[-1].started_at is None:
        return "requires_action" not in life.statuses
    entered = [state.observed_at for state in life.states]
    for one, other in pairwise([life.states[0], *seen]):
        first, last = (bisect(entered, look.observed_at) for look in (one, other))
        starts = [state.status for state in life.states[first:last]].count("in_progress")
        if one.status == "queued" and other.status == "in_progress" and starts > 1:
            return False
    return True


def make_steps(life: Life) -> list[e.RunStepRecorded]:
    """Returns the steps that a list at the end contains: one per pause."""
    return [
        e.RunStepRecorded(
            observed_at=life.states[-1].observed_at + timedelta(seconds=60),
            step_id=f"step_{number}",
            type="tool_calls",
            status="cancelled" if is_ended(following.status) else "completed",
            tools=("price",),
            created_at=state.observed_at,
            ended_at=following.observed_at,
        )
        for number, (state, following) in enumerate(pairwise(life.states))
        if state.status == "requires_action"
    ]


@settings(max_examples=examples(300), deadline=None)
@given(st.data(), st.booleans(), st.booleans())
def test_durations_are_off_by_no_more_than_their_uncertainty(
    data: st.DataObject, stamps: bool, with_steps: bool
) -> None:
    life = data.draw(lives(stamps=stamps))
    state, events = initial_state, []
    seen = data.draw(looks(life))
    # Steps prove pauses that no poll saw, if the service reports the starts between them.
    is_proven = with_steps and stamps and bool(seen) and is_ended(seen[-1].status)
    assume(is_proven or is_provable(life, seen))
    for look in seen:
        decided = decide(state, look)
        state = fold_state(decided, state)
        events += decided
    if not events:
        return
    if with_steps and state.is_ended:
        events += make_steps(life)
    history = RunHistory("assistants:run_1")
    for number, event in enumerate(events, 1):
        fold(history, RecordedEvent(number, "assistants:run_1", number, event))
    row = run_row(history).record()
    if row["outcome"] is None:
        return
    assert row["uncertainty_seconds"] is not None
    allowed = row["uncertainty_seconds"] + 1e-6
    for column, seconds in true_seconds(life).items():
        assert abs((row[column] or 0.0) - seconds) <= allowed, column
    total = (life.states[-1].observed_at - life.states[0].observed_at) / timedelta(seconds=1)
    assert abs(row["total_seconds"] - total) <= allowed
