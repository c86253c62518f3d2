"""The plan of a run, drawn when it is created: its course if no client intervenes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from tracker.simulator.model.catalogue import (
    CODE,
    FILES,
    draw_arguments,
    list_built_in_tools,
    list_functions,
)
from tracker.simulator.model.identifiers import make_id
from tracker.simulator.model.parameters import Parameters
from tracker.simulator.model.tokens import Context, Tokens

End = Literal["completed", "failed", "incomplete", "cancelled", "endless"]


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call; `text` holds the arguments of a function, or the input of a built-in tool."""

    id: str
    type: str
    text: str
    function: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step from `begins` to `ends`, in seconds of its lap's work.

    `ends` is None for a step that ends when tool outputs are submitted.
    """

    id: str
    type: Literal["message_creation", "tool_calls"]
    begins: float
    ends: float | None
    tokens: Tokens
    calls: tuple[Call, ...] = ()
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class Lap:
    """A stretch of queueing and work, up to an action or the end of the run."""

    # In seconds; `work` may be infinite.
    queued: float
    work: float
    steps: tuple[PlannedStep, ...]
    # The step of function calls that the lap ends with.
    action: PlannedStep | None = None
    # Seconds until the simulated client submits outputs; None for never.
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The laps of a run and its outcome; `cancelling` is the time that a cancellation takes."""

    laps: tuple[Lap, ...]
    end: End
    cancelling: float
    expires_after: float
    requeued: bool = True
    error_code: str | None = None
    reason: str | None = None
    blank_usage: bool = False


def draw_plan(
    seed: int,
    run_id: str,
    parameters: Parameters,
    *,
    kind: int = 0,
    tools: Sequence[Any] = (),
    reasons: bool = False,
) -> Plan:
    """Draws the plan of a run; equal arguments give equal plans."""
    rng = Random(f"{seed}:{run_id}")
    end = _draw_end(rng, parameters)
    at_once = end == "failed" and rng.random() < parameters.failed_at_once
    endless = end == "endless"
    others = parameters.answers == "others"
    functions = list_functions(tools)
    stops = _draw_stops(rng, parameters) if functions else 0

    drawer = _StepDrawer(
        rng, run_id, list_built_in_tools(tools), Context(rng.randrange(150, 2500), reasons)
    )
    laps = []
    for index in range(stops + 1):
        last = index == stops
        work = parameters.work(rng, kind)
        if index == 0 and rng.random() < parameters.stretched:
            work = parameters.stretch(rng, work)

        queued = parameters.queue(rng) if index == 0 or parameters.requeued else 0.0
        if last:
            steps = () if at_once else drawer.draw_work(work, closing=True, endless=endless)
            laps.append(Lap(queued, math.inf if endless else work, steps))
            continue

        steps = drawer.draw_work(work, closing=False, endless=False)
        action = drawer.draw_action(functions, work)
        wait = parameters.answer(rng) if rng.random() >= parameters.unanswered else None
        laps.append(Lap(queued, work, steps, action, wait if others else None))

    code = parameters.error_code or rng.choice(("rate_limit_exceeded", "server_error"))
    reason = rng.choice(("max_completion_tokens", "max_prompt_tokens"))
    return Plan(
        laps=tuple(laps),
        end=end,
        cancelling=parameters.cancelling(rng),
        expires_after=parameters.expires_after,
        requeued=parameters.requeued,
        error_code=code if end == "failed" else None,
        reason=reason if end == "incomplete" else None,
        blank_usage=at_once and stops == 0 and code == "server_error",
    )


def _draw_end(rng: Random, parameters: Parameters) -> End:
    drawn = rng.random()
    ends: tuple[tuple[End, float], ...] = (
        ("failed", parameters.failed),
        ("incomplete", parameters.incomplete),
        ("cancelled", parameters.cancelled),
        ("endless", parameters.endless),
    )
    for end, share in ends:
        if drawn < share:
            return end
        drawn -= share
    return "completed"


def _draw_stops(rng: Random, parameters: Parameters) -> int:
    stops = 0
    while stops < parameters.max_actions and rng.random() < parameters.action:
        stops += 1
    return stops


class _StepDrawer:
    """Draws the steps of one run in sequence."""

    def __init__(self, rng: Random, run_id: str, tools: list[str], context: Context) -> None:
        self._rng = rng
        self._run_id = run_id
        self._tools = tools
        self._context = context
        self._count = 0

    def draw_work(self, seconds: float, *, closing: bool, endless: bool) -> tuple[PlannedStep, ...]:
        """Draws steps that fill `seconds` of work; the last is a message if `closing`."""
        used = self._rng.choices((0, 1, 2), (6, 3, 1))[0] if self._tools else 0
        cuts = sorted(self._rng.uniform(0.05, 0.95) for _ in range(used + 1))
        edges = [cut * seconds for cut in cuts] + [seconds]

        steps = [self._draw_tool_step(edges[i], edges[i + 1]) for i in range(used)]
        if closing:
            steps.append(self._draw_message_step(edges[used], math.inf if endless else seconds))
        return tuple(steps)

    def draw_action(self, functions: list[dict[str, Any]], begins: float) -> PlannedStep:
        """Draws the step of one to three function calls that a run waits for."""
        count = self._rng.choices((1, 2, 3), (7, 2, 1))[0]
        calls = []
        for index in range(count):
            function = self._rng.choice(functions)
            text = draw_arguments(self._rng, function)
            call_id = make_id("call", self._run_id, self._count, index)
            calls.append(Call(call_id, "function", text, str(function.get("name"))))

        spent = self._context.spend(self._rng, 30 * count)
        return PlannedStep(self._next_id(), "tool_calls", begins, None, spent, tuple(calls))

    def _draw_tool_step(self, begins: float, ends: float) -> PlannedStep:
        tool = self._rng.choice(self._tools)
        text = self._rng.choice(CODE if tool == "code_interpreter" else FILES)
        call = Call(make_id("call", self._run_id, self._count), tool, text)
        spent = self._context.spend(self._rng, 80)
        return PlannedStep(self._next_id(), "tool_calls", begins, ends, spent, (call,))

    def _draw_message_step(self, begins: float, ends: float) -> PlannedStep:
        message_id = make_id("msg", self._run_id, self._count)
        spent = self._context.spend(self._rng, 220)
        return PlannedStep(
            self._next_id(), "message_creation", begins, ends, spent, message_id=message_id
        )

    def _next_id(self) -> str:
        self._count += 1
        return make_id("step", self._run_id, self._count)
