"""The life of a response: one lap of a run, since tool outputs go to a new response."""

from __future__ import annotations

import math
from dataclasses import replace

from tracker.core.status import CANCELLING, COMPLETED, EXPIRED, FAILED, REQUIRES_ACTION
from tracker.simulator.model.catalogue import kind_of
from tracker.simulator.model.plan import PlannedStep, draw_plan
from tracker.simulator.model.records import RunRecord
from tracker.simulator.model.run_life import Life, Transition, build_life


def build_response_life(seed: int, record: RunRecord, continued: int) -> Life:
    """Builds the life of a response; `continued` is the number of its predecessors.

    It completes at the time that a run would require action, and fails at the time that a run
    would expire. A chain of responses makes as many calls as one run of its parameters.
    """
    stops = min(1, max(0, record.parameters.max_actions - continued))
    plan = draw_plan(
        seed,
        record.id,
        replace(record.parameters, max_actions=stops, answers="client"),
        kind=kind_of(record.model, record.parameters.kinds),
        tools=[to_assistant_tool(tool) for tool in record.tools],
        reasons=record.model.startswith("o"),
    )
    reason = plan.reason and "max_output_tokens"
    life = build_life(
        replace(plan, cancelling=0.0, reason=reason), record.created_at, cancel_at=record.cancel_at
    )
    transitions = tuple(
        replace(each, status=FAILED) if each.status == EXPIRED else each
        for each in life.transitions
        if each.status != CANCELLING
    )
    stop = next((each for each in transitions if each.status == REQUIRES_ACTION), None)
    if stop is None:
        return replace(life, transitions=transitions)
    before = (each for each in transitions if each.at <= stop.at and each is not stop)
    steps = (
        replace(step, ended_at=min(step.ended_at, stop.at), status=COMPLETED)
        for step in life.steps
        if step.lap == stop.lap
    )
    return replace(
        life,
        transitions=(*before, Transition(COMPLETED, stop.at, stop.lap)),
        steps=tuple(steps),
    )


def find_call_step(life: Life, now: float = math.inf) -> PlannedStep | None:
    """Returns the step of function calls that a response completed with by `now`, if any."""
    if life.at(now).status != COMPLETED:
        return None
    return next((step.planned for step in life.steps if step.planned.ends is None), None)


def to_assistant_tool(tool: object) -> object:
    """Converts a function from the format of responses to that of assistants."""
    if isinstance(tool, dict) and tool.get("type") == "function" and "function" not in tool:
        return {"type": "function", "function": tool}
    return tool
