"""The life of a response: one lap of a run's, since the answer to its calls is another. Pure."""

from __future__ import annotations

import math
from dataclasses import replace

from tracker.core.status import CANCELLING, COMPLETED, EXPIRED, FAILED, REQUIRES_ACTION
from tracker.simulator.model.catalogue import kind_of
from tracker.simulator.model.plan import PlannedStep, draw_plan
from tracker.simulator.model.records import RunRecord
from tracker.simulator.model.run_life import Life, Transition, build_life


def build_response_life(seed: int, record: RunRecord, continued: int) -> Life:
    """The life of a response that is the last of so many that went on from one another.

    It completes where a run would stop for its caller, and fails where a run would expire. It
    makes calls as long as a run of its parameters would.
    """
    stops = min(1, max(0, record.parameters.max_actions - continued))
    plan = draw_plan(
        seed,
        record.id,
        replace(record.parameters, max_actions=stops, answers="client"),
        kind=kind_of(record.model, record.parameters.kinds),
        tools=[_to_assistant_tool(tool) for tool in record.tools],
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
    """The step of calls with which a response completed by `now`, if it did."""
    if life.at(now).status != COMPLETED:
        return None
    return next((step.planned for step in life.steps if step.planned.ends is None), None)


def _to_assistant_tool(tool: object) -> object:
    """A function as an assistant has it: under a key of its own."""
    if isinstance(tool, dict) and tool.get("type") == "function" and "function" not in tool:
        return {"type": "function", "function": tool}
    return tool
