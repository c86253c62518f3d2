"""Rows of runs, compared with the true life of each run."""

from datetime import timedelta
from itertools import pairwise

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.generated_runs import Life, lives, looks
from tests.support.run_builder import rows_after
from tracker.core import events as e
from tracker.core.decider import decide
from tracker.core.decider import fold as fold_state
from tracker.core.state import initial_state
from tracker.core.status import is_ended

_KINDS = {"queued": "queued", "requires_action": "action"}


def true_seconds(life: Life) -> dict[str, float]:
    """Returns the true durations of a life by kind."""
    seconds = dict.fromkeys(("queued", "running", "action"), 0.0)
    for state, following in pairwise(life.states):
        kind = _KINDS.get(state.status, "running")
        seconds[kind] += (following.observed_at - state.observed_at).total_seconds()
    return {**seconds, "total": sum(seconds.values())}


def make_steps(life: Life) -> list[e.RunStepRecorded]:
    """Returns the steps that a list at the end contains: one per pause."""
    return [
        e.RunStepRecorded(
            observed_at=life.states[-1].observed_at + timedelta(seconds=60),
            step_id=f"step_{number}",
            type="tool_calls",
            status="cancelled" if is_ended(following.status) else "completed",
            tools=("price",),
            tool_call_ids=tuple(it.id for it in state.tool_calls),
            created_at=state.observed_at,
            ended_at=following.observed_at,
        )
        for number, (state, following) in enumerate(pairwise(life.states))
        if state.status == "requires_action"
    ]


@settings(max_examples=examples(300), deadline=None)
@given(st.data(), st.booleans(), st.booleans(), st.sampled_from((0.0, 1.5, -37.2, 5.0)))
def test_the_truth_is_inside_the_bounds(
    data: st.DataObject, stamps: bool, with_steps: bool, ahead: float
) -> None:
    life = data.draw(lives(stamps=stamps))
    last = life.states[-1]
    # These lives expire before their time, which an undated expiry does not tell.
    assume(last.status != "expired" or last.ended_at is not None)
    shift = timedelta(seconds=ahead)
    state, events = initial_state, []
    for look in data.draw(looks(life)):
        seen = {
            "asked_at": look.asked_at and look.asked_at - shift,
            "observed_at": look.observed_at - shift,
        }
        decided = decide(state, look.model_copy(update=seen))
        state = fold_state(decided, state)
        events += decided
    if not events:
        return
    # Without starts, nothing tells which of the pauses of its steps a look was before.
    if with_steps and stamps and state.is_ended:
        events += make_steps(life)
    row, phases = rows_after(*events)
    for phase, following in pairwise(phases):
        assert phase.entered_at <= phase.left_at == following.entered_at
    if row.outcome is None:
        return
    known = [it.seconds for it in phases]
    if None not in known and row.total_seconds is not None:
        assert abs(sum(known) - row.total_seconds) < 1e-6
    for kind, seconds in true_seconds(life).items():
        least, most = (getattr(row, f"{kind}_at_{it}_seconds") for it in ("least", "most"))
        if least is not None:
            assert least - 1e-6 <= seconds, kind
            assert most is None or seconds <= most + 1e-6, kind
