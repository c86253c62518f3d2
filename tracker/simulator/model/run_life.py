"""The life of a run: its plan at actual times, with the interventions of clients."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce

from tracker.core.status import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    EXPIRED,
    FAILED,
    IN_PROGRESS,
    INCOMPLETE,
    QUEUED,
    REQUIRES_ACTION,
    is_ended,
)
from tracker.simulator.model.plan import Plan, PlannedStep
from tracker.simulator.model.tokens import Tokens

_ENDS = {"completed": COMPLETED, "failed": FAILED, "incomplete": INCOMPLETE}


@dataclass(frozen=True, slots=True)
class Transition:
    """A change to `status` at `at` (unix seconds), in the lap with this index."""

    status: str
    at: float
    lap: int


@dataclass(frozen=True, slots=True)
class Step:
    """A step with its times (unix seconds; infinite while no end is planned) and final status."""

    planned: PlannedStep
    lap: int
    created_at: float
    ended_at: float
    status: str

    @property
    def tokens(self) -> Tokens | None:
        """The tokens it reports; None for a step that was cut off."""
        return self.planned.tokens if self.status in (COMPLETED, FAILED) else None


@dataclass(frozen=True, slots=True)
class Moment:
    """The state of a run at one time."""

    status: str
    lap: int
    started_at: float | None
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class Life:
    """All transitions and steps of a run, past and future, if no client intervenes any more."""

    plan: Plan
    created_at: float
    expires_at: float
    transitions: tuple[Transition, ...]
    steps: tuple[Step, ...]

    @property
    def tokens(self) -> Tokens | None:
        """The tokens that the run reports at its end: the sum of its steps."""
        if self.plan.blank_usage and self.transitions[-1].status == FAILED:
            return None

        spent = (step.tokens for step in self.steps)
        return reduce(Tokens.__add__, (each for each in spent if each), Tokens())

    def at(self, now: float) -> Moment:
        """Returns the state at `now`; before the creation, the initial state."""
        count = max(1, bisect_right(self.transitions, now, key=lambda each: each.at))
        current = self.transitions[count - 1]
        starts = [each.at for each in self.transitions[:count] if each.status == IN_PROGRESS]
        return Moment(
            status=current.status,
            lap=current.lap,
            started_at=starts[-1] if starts else None,
            ended_at=current.at if is_ended(current.status) else None,
        )

    def find_action(self, now: float) -> Step | None:
        """Returns the step that the run waits for outputs of at `now`, if any."""
        moment = self.at(now)
        if moment.status != REQUIRES_ACTION:
            return None

        return next(
            step for step in self.steps if step.lap == moment.lap and step.planned.ends is None
        )


def build_life(
    plan: Plan,
    created_at: float,
    answers: Mapping[int, float] | None = None,
    cancel_at: float | None = None,
) -> Life:
    """Builds the life of a run from its plan and the interventions of clients.

    `answers` holds the times of submitted outputs by lap, `cancel_at` the time of a cancellation
    (unix seconds). Neither changes anything before it.
    """
    expires_at = created_at + plan.expires_after
    transitions, steps = _unfold(plan, created_at, answers or {})

    last = transitions[-1]
    due = min(expires_at, last.at if is_ended(last.status) else math.inf)
    if last.status == CANCELLING:
        cancel_at = last.at if cancel_at is None else min(cancel_at, last.at)

    if cancel_at is not None and cancel_at < due:
        stop = Transition(CANCELLING, cancel_at, _lap_at(transitions, cancel_at))
        ended_at = cancel_at + plan.cancelling
        transitions = [
            *(each for each in transitions if each.at <= cancel_at and each.status != CANCELLING),
            stop,
            Transition(CANCELLED, ended_at, stop.lap),
        ]
        steps = [step for step in steps if step.created_at <= cancel_at]
        steps = _end_open_steps(steps, cancel_at, ended_at, CANCELLED)
    elif due == expires_at:
        transitions = [each for each in transitions if each.at < expires_at]
        transitions.append(Transition(EXPIRED, expires_at, transitions[-1].lap))
        steps = [step for step in steps if step.created_at < expires_at]
        steps = _end_open_steps(steps, expires_at, expires_at, EXPIRED)

    return Life(plan, created_at, expires_at, tuple(transitions), tuple(steps))


def _unfold(
    plan: Plan, created_at: float, answers: Mapping[int, float]
) -> tuple[list[Transition], list[Step]]:
    """Returns the transitions and steps of a plan without cancellation and expiry."""
    transitions: list[Transition] = []
    steps: list[Step] = []
    now = created_at

    for index, lap in enumerate(plan.laps):
        if index == 0 or plan.requeued:
            transitions.append(Transition(QUEUED, now, index))
        now += lap.queued
        transitions.append(Transition(IN_PROGRESS, now, index))
        for planned in lap.steps:
            ends = math.inf if planned.ends is None else planned.ends
            steps.append(Step(planned, index, now + planned.begins, now + ends, COMPLETED))

        now += lap.work
        if math.isinf(now):
            return transitions, steps
        if lap.action is None:
            continue

        transitions.append(Transition(REQUIRES_ACTION, now, index))
        default = math.inf if lap.wait is None else now + lap.wait
        answered = answers.get(index, default)
        steps.append(Step(lap.action, index, now, answered, COMPLETED))
        if math.isinf(answered):
            return transitions, steps
        now = answered

    lap_number = len(plan.laps) - 1
    if plan.end == "cancelled":
        transitions.append(Transition(CANCELLING, now, lap_number))
        return transitions, steps

    transitions.append(Transition(_ENDS[plan.end], now, lap_number))
    if plan.end == "failed" and plan.laps[-1].steps:
        steps[-1] = replace(steps[-1], status=FAILED)
    return transitions, steps


def _lap_at(transitions: list[Transition], now: float) -> int:
    return max((each.lap for each in transitions if each.at <= now), default=0)


def _end_open_steps(steps: list[Step], cut: float, ended_at: float, status: str) -> list[Step]:
    """Returns the steps; those open at `cut` end with the run, at `ended_at`."""
    return [
        step if step.ended_at <= cut else replace(step, ended_at=ended_at, status=status)
        for step in steps
    ]
