"""Properties of simulated runs, for all seeds and parameters."""

from __future__ import annotations

import math
from functools import reduce
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracker.core.status import ENDED, is_ended
from tracker.errors import SettingsError
from tracker.simulator.model.catalogue import default_tools
from tracker.simulator.model.parameters import Parameters
from tracker.simulator.model.plan import End, Plan, draw_plan
from tracker.simulator.model.run_life import Life, build_life
from tracker.simulator.model.tokens import Tokens

START = 1_800_000_000.25
TOOLS = default_tools("asst_1")

# Machines that run tests may be slow.
law = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

FOLLOWS = {
    "queued": {"in_progress", "cancelling", "expired"},
    "in_progress": {"requires_action", "cancelling", *ENDED} - {"cancelled"},
    "requires_action": {"queued", "in_progress", "cancelling", "expired"},
    "cancelling": {"cancelled"},
}

parameters = st.builds(
    Parameters,
    time_scale=st.sampled_from((0.1, 1.0, 10.0)),
    action=st.sampled_from((0.0, 0.5, 1.0)),
    answers=st.sampled_from(("others", "client")),
    unanswered=st.sampled_from((0.0, 0.5)),
    requeued=st.booleans(),
    failed=st.sampled_from((0.0, 0.3)),
    failed_at_once=st.sampled_from((0.0, 0.5, 1.0)),
    incomplete=st.sampled_from((0.0, 0.2)),
    cancelled=st.sampled_from((0.0, 0.2)),
    endless=st.sampled_from((0.0, 0.2)),
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    return draw_plan(
        draw(st.integers(0, 2**32)),
        f"run_{draw(st.integers(0, 999))}",
        draw(parameters),
        kind=draw(st.integers(0, 11)),
        tools=draw(st.sampled_from((TOOLS, [], [{"type": "code_interpreter"}]))),
        reasons=draw(st.booleans()),
    )


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """Draws lives of runs with some submitted outputs, and perhaps a cancellation."""
    plan = draw(plans())
    answers: dict[int, float] = {}
    life = build_life(plan, START)
    for index in range(len(plan.laps)):
        asked = next((s for s in life.steps if s.lap == index and s.planned.ends is None), None)
        if asked is not None and draw(st.booleans()):
            share = draw(st.floats(0.0, 0.999))
            answers[index] = asked.created_at + share * (asked.ended_at - asked.created_at)
            life = build_life(plan, START, answers)

    share = draw(st.none() | st.floats(0.0, 1.2))
    span = life.transitions[-1].at - START
    return build_life(plan, START, answers, None if share is None else START + share * span)


@law
@given(lives())
def test_statuses_follow_each_other_in_legal_order(life: Life) -> None:
    statuses = [each.status for each in life.transitions]

    assert statuses[0] == "queued"
    assert statuses[-1] in ENDED
    for before, after in pairwise(statuses):
        assert after in FOLLOWS[before]


@law
@given(lives())
def test_times_never_run_backwards(life: Life) -> None:
    times = [each.at for each in life.transitions]

    assert times == sorted(times)
    assert times[0] == START
    assert life.transitions[-1].status == "cancelled" or times[-1] <= life.expires_at


@law
@given(lives())
def test_steps_lie_within_the_work_that_made_them(life: Life) -> None:
    end = life.transitions[-1].at
    created = [step.created_at for step in life.steps]

    assert created == sorted(created)
    for step in life.steps:
        assert START < step.created_at <= step.ended_at <= end
        starts = [
            each.at
            for each in life.transitions
            if each.lap == step.lap and each.status == "in_progress"
        ]
        assert starts
        assert starts[0] <= step.created_at


@law
@given(lives())
def test_a_step_of_functions_spans_the_wait_for_outputs(life: Life) -> None:
    stops = [each for each in life.transitions if each.status == "requires_action"]
    asked = [step for step in life.steps if step.planned.ends is None]

    assert [step.created_at for step in asked] == [each.at for each in stops]
    for step, stop in zip(asked, stops, strict=True):
        later = [each for each in life.transitions if each.at > stop.at or each.lap > stop.lap]
        if step.status == "completed":
            assert later[0].at == step.ended_at
            assert later[0].status in ("queued", "in_progress", "cancelling")
        else:
            assert step.ended_at == life.transitions[-1].at


@law
@given(lives())
def test_usage_is_the_sum_of_the_steps(life: Life) -> None:
    spent = [step.tokens for step in life.steps if step.tokens is not None]

    if life.tokens is None:
        assert life.transitions[-1].status == "failed"
        assert not life.steps
    else:
        assert life.tokens == reduce(Tokens.__add__, spent, Tokens())
    for tokens in spent:
        assert tokens.cached <= tokens.prompt
        assert tokens.reasoning < tokens.completion


@law
@given(lives(), st.floats(-10.0, 2000.0))
def test_a_moment_agrees_with_the_transitions(life: Life, age: float) -> None:
    now = START + age
    moment = life.at(now)
    past = [each for each in life.transitions if each.at <= now] or [life.transitions[0]]
    starts = [each.at for each in past if each.status == "in_progress"]

    assert moment.status == past[-1].status
    assert moment.started_at == (starts[-1] if starts else None)
    assert (moment.ended_at is not None) == is_ended(moment.status)
    assert (life.find_action(now) is not None) == (moment.status == "requires_action")


@law
@given(plans(), st.floats(0.0, 1.0))
def test_interference_leaves_the_past_alone(plan: Plan, share: float) -> None:
    whole = build_life(plan, START)
    moment = START + share * (whole.transitions[-1].at - START)
    cancelled = build_life(plan, START, cancel_at=moment)

    def before(life: Life) -> list[tuple[str, float]]:
        return [(each.status, each.at) for each in life.transitions if each.at < moment]

    assert before(cancelled) == before(whole)
    assert not math.isinf(cancelled.transitions[-1].at)


@law
@given(st.integers(0, 2**32), parameters)
def test_the_same_seed_gives_the_same_plan(seed: int, odds: Parameters) -> None:
    again = [draw_plan(seed, "run_1", odds, tools=TOOLS) for _ in range(2)]

    assert again[0] == again[1]
    assert draw_plan(seed, "run_2", odds, tools=TOOLS) != again[0]


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("completed", "completed"),
        ("failed", "failed"),
        ("incomplete", "incomplete"),
        ("cancelled", "cancelled"),
        ("endless", "expired"),
    ],
)
def test_odds_of_one_decide_the_end(end: End, status: str) -> None:
    odds = Parameters.ending(end, time_scale=0.1, unanswered=0)
    ends = {
        build_life(draw_plan(1, f"run_{n}", odds, tools=TOOLS), START).transitions[-1].status
        for n in range(30)
    }

    assert ends == {status}


def test_an_unanswered_action_expires() -> None:
    odds = Parameters.ending("completed", action=1, answers="client", stretched=0)
    life = build_life(draw_plan(3, "run_1", odds, tools=TOOLS), START)

    assert [each.status for each in life.transitions] == [
        "queued",
        "in_progress",
        "requires_action",
        "expired",
    ]
    assert life.transitions[-1].at == START + 600
    assert life.steps[-1].status == "expired"
    assert life.steps[-1].tokens is None


def test_life_times_are_those_of_the_parameters() -> None:
    whole = [build_life(draw_plan(5, f"run_{n}", Parameters(), kind=n % 12, tools=TOOLS), START)
             for n in range(3000)]  # fmt: skip
    spans = [life.transitions[-1].at - START for life in whole]
    stopped = sum(any(t.status == "requires_action" for t in life.transitions) for life in whole)
    queues = sorted(life.transitions[1].at - START for life in whole)

    assert 30 < sum(spans) / len(spans) < 60
    assert 0.2 < stopped / len(whole) < 0.3
    assert 0.6 < queues[1500] < 0.8
    assert queues[0] >= 0.29
    assert queues[-1] <= 2.01


@pytest.mark.parametrize(
    "wrong",
    [{"failed": 1.5}, {"failed": 0.7, "endless": 0.7}, {"kinds": 0}, {"time_scale": 0.0}],
)
def test_impossible_parameters_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError):
        Parameters(**wrong)  # type: ignore[arg-type]
