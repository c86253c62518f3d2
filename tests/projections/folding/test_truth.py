"""Rows of runs, compared with the true life of each run."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.benchmarks.true_times import KINDS, WORLDS, judge
from tests.benchmarks.true_worlds import World, follow, own_calls
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


@pytest.mark.parametrize(
    "world",
    [
        World(gap=0.5),
        World(gap=2.0, ahead=-1.5, lost=0.3, drift=-50e-6),
        World(ahead=-5.0, has_starts=False),
        World(has_steps=False, has_starts=False, drift=50e-6),
        World(created=0.0, late=0.9, has_steps=False),
        World(gap=8.0, is_random=True, has_fractions=True),
    ],
    ids=str,
)
def test_the_truth_of_a_simulation_is_inside_the_bounds(world: World) -> None:
    figures = judge(follow(world, 40))
    assert figures["total"].runs == 40
    assert [it.false for it in figures.values()] == [[]] * len(KINDS)


def test_durations_are_as_close_to_the_truth_as_they_can_be() -> None:
    mixed = judge(follow(World(gap=0.5), 80, seed=1))
    assert mixed["first queue"].error <= 0.25
    assert mixed["total"].error <= 0.23
    own = judge(follow(own_calls(World(gap=0.5, has_steps=False)), 50, seed=1))
    assert own["first queue"].error <= 0.15
    assert own["queued"].share_unknown <= 0.08


@pytest.mark.seeds
@pytest.mark.parametrize("part", range(5))
def test_the_truth_of_ten_thousand_runs_is_inside_the_bounds(part: int) -> None:
    worlds = list(WORLDS.values())[part::5]
    for number, world in enumerate(worlds):
        figures = judge(follow(world, 2_000 // len(worlds) + 1, seed=number))
        assert [it.false for it in figures.values()] == [[]] * len(KINDS), world


@pytest.mark.seeds
def test_durations_are_as_exact_as_two_clocks_allow() -> None:
    mixed = judge(follow(World(gap=0.5), 900, seed=2))
    assert mixed["first queue"].error <= 0.22
    assert mixed["total"].error <= 0.2
    own = judge(follow(own_calls(World(gap=0.5, has_steps=False)), 900, seed=2))
    assert own["first queue"].error <= 0.13
    assert own["queued"].share_unknown <= 0.06
