"""Worlds with a known truth: lives of runs, two clocks, a network, and looks at the runs.

Lives are those that `polled_service` simulates. The events are the decider's, of answers as a
poller and the application's own calls have them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any, Literal

from tracker.core import events as e
from tracker.core.decider import decide
from tracker.core.decider import fold as fold_state
from tracker.core.other_decisions import decide_submission
from tracker.core.snapshot import Configuration, RunSnapshot, ToolCall
from tracker.core.state import RunState, initial_state
from tracker.core.status import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    EXPIRED,
    FAILED,
    IN_PROGRESS,
    QUEUED,
    REQUIRES_ACTION,
    is_ended,
)
from tracker.polling.clock_offset import ClockOffset

# Statuses, and the second at which each began.
Life = Sequence[tuple[str, float]]
Call = Literal["create", "submit"]
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
EXPIRES_AFTER = 600.0
BETWEEN_RUNS = 0.7
_KINDS = {QUEUED: "queued", REQUIRES_ACTION: "action"}
_TOOLS = Configuration(tools=({"type": "function", "function": {"name": "f"}},))


@dataclass(frozen=True)
class World:
    """How runs are followed; times in seconds, chances from 0 to 1."""

    # Between two looks, and if they come at random instead of in turns.
    gap: float = 1.0
    is_random: bool = False
    # By how much the service's clock is ahead, and gains each second.
    ahead: float = 37.2
    drift: float = 0.0
    # The chance that an answer is lost.
    lost: float = 0.05
    # The runs that our own calls create; of the others, those first seen after their end.
    created: float = 0.6
    late: float = 0.375
    # What the service tells: its steps, the starts of work, and fractions of a second.
    has_steps: bool = True
    has_starts: bool = True
    has_fractions: bool = False


@dataclass(frozen=True)
class _Look:
    asked_at: float
    answered_at: float
    observed_at: float
    call: Call | None = None


@dataclass(frozen=True)
class TrueRun:
    """A run with the true seconds of its first queue and of its sums, and its events."""

    life: Life
    events: tuple[e.Event, ...]
    # True if a call of our own created it.
    is_own: bool

    @property
    def first_queue(self) -> float:
        """Returns how long it was queued at first."""
        return self.life[1][1]

    def sums(self) -> dict[str, float]:
        """Returns the seconds of each kind, and of all."""
        seconds = dict.fromkeys(("queued", "running", "action"), 0.0)
        for (status, at), (_, until) in pairwise(self.life):
            seconds[_KINDS.get(status, "running")] += until - at
        return {**seconds, "total": self.life[-1][1]}


def draw_life(chance: Random) -> Life:
    """Draws the life of a run, to its end."""
    typical, at, pauses = 3.0 * 10 ** (chance.randrange(12) / 11), 0.0, 0
    life: list[tuple[str, float]] = [(QUEUED, 0.0)]

    def queue() -> float:
        return min(2.0, max(0.3, chance.lognormvariate(math.log(0.7), 0.5)))

    at += queue()
    while True:
        life.append((IN_PROGRESS, at))
        work = chance.lognormvariate(math.log(typical), 0.45)
        if chance.random() < 0.04:
            work = math.exp(chance.uniform(math.log(typical), math.log(EXPIRES_AFTER)))
        if chance.random() < 0.01:
            work = math.inf
        if chance.random() < 0.03 and at + work < EXPIRES_AFTER:
            at += work * chance.random()
            return [*life, (CANCELLING, at), (CANCELLED, at + chance.uniform(0.2, 1.0))]
        at += work
        if at >= EXPIRES_AFTER:
            return [*life, (EXPIRED, EXPIRES_AFTER)]
        if pauses == 3 or chance.random() >= 0.25:
            return [*life, (FAILED if chance.random() < 0.03 else COMPLETED, at)]
        pauses += 1
        life.append((REQUIRES_ACTION, at))
        wait = min(300.0, max(1.0, chance.lognormvariate(math.log(10.0), 1.3)))
        at += math.inf if chance.random() < 0.03 else wait
        if at < EXPIRES_AFTER:
            life.append((QUEUED, at))
            at += queue()
        if at >= EXPIRES_AFTER:
            return [*life, (EXPIRED, EXPIRES_AFTER)]


class _Following:
    """A run while it is followed. All moments are true seconds of the world."""

    def __init__(self, world: World, chance: Random, born: float, number: int) -> None:
        self.world, self.chance, self.born = world, chance, born
        self.run_id = f"run_{number}"
        self.life = draw_life(chance)
        self.is_own = chance.random() < world.created
        self.is_late = not self.is_own and chance.random() < world.late
        self.looks = sorted(self._draw_looks(), key=lambda it: it.observed_at)
        self.state: RunState = initial_state
        self.events: list[e.Event] = []
        # The answer before, and when the last look without news was asked for.
        self.shown: dict[str, Any] | None = None
        self.unchanged_until: datetime | None = None

    def _leg(self) -> float:
        return 0.015 + min(0.085, self.chance.expovariate(50))

    def _draw_looks(self) -> Iterator[_Look]:
        chance, gap, born = self.chance, self.world.gap, self.born
        end, at, is_first = born + self.life[-1][1], born, True
        if self.is_own:
            created = _Look(born - self._leg(), born, born + self._leg(), "create")
            yield created
            at, is_first = created.observed_at, False
        elif self.is_late:
            at = end + chance.uniform(1, 3600)
        else:
            at += min(chance.expovariate(1 / 3), self.life[-1][1] * 0.9)
        resumed = [born + it for status, it in self.life[1:] if status == QUEUED]
        if not self.is_late:
            for moment in resumed:
                if self.is_own or moment - 0.2 > at + 0.2:
                    yield _Look(moment - self._leg(), moment, moment + self._leg(), "submit")
        while True:
            if not is_first:
                is_random = self.world.is_random
                at += chance.expovariate(1 / gap) if is_random else gap * chance.uniform(0.7, 1.3)
            answered_at = at + self._leg()
            observed_at = answered_at + self._leg()
            if is_first or answered_at > end + 1 or chance.random() >= self.world.lost:
                yield _Look(at, answered_at, observed_at)
                if answered_at >= end:
                    return
            at, is_first = observed_at, False

    def look(self, look: _Look, offset: ClockOffset) -> None:
        """Records an answer, as the poller and the recorder of our own calls do."""
        shown = self._show(look.answered_at)
        asked_at, observed_at = _to_moment(look.asked_at), _to_moment(look.observed_at)
        if look.call is not None or shown != self.shown:
            if look.call == "submit":
                calls = [it.id for it in self.state.tool_calls]
                self._add(decide_submission(self.state, calls, observed_at) if calls else [])
            snapshot = RunSnapshot(
                source="assistants",
                run_id=self.run_id,
                observed_at=observed_at,
                asked_at=asked_at,
                unchanged_until=None if look.call else self.unchanged_until,
                call=look.call,
                ahead=_to_micros(offset.bounds(look.observed_at)),
                configuration=_TOOLS,
                **shown,
            )
            decided = decide(self.state, snapshot, self.state.version)
            self._add(decided)
            offset.add(decided, look.observed_at)
        self.shown = shown
        if look.call is None:
            self.unchanged_until = asked_at

    def _add(self, events: Sequence[e.Event]) -> None:
        self.events += events
        self.state = fold_state(events, self.state)

    def _stamp(self, at: float) -> datetime:
        world = self.world
        seconds = at + world.ahead + world.drift * at
        grain = 1e-3 if world.has_fractions else 1.0
        return _to_moment(math.floor(seconds / grain) * grain)

    def _show(self, at: float) -> dict[str, Any]:
        begun = [self.born + it for _, it in self.life]
        place = max(bisect_right(begun, at) - 1, 0)
        status = self.life[place][0]
        starts = [begun[it] for it in range(place + 1) if self.life[it][0] == IN_PROGRESS]
        shown: dict[str, Any] = {"status": status, "created_at": self._stamp(self.born)}
        shown["expires_at"] = self._stamp(self.born + EXPIRES_AFTER)
        if starts and self.world.has_starts:
            shown["started_at"] = self._stamp(starts[-1])
        if status == REQUIRES_ACTION:
            shown["tool_calls"] = (ToolCall(id=f"call_{place}"),)
        if is_ended(status) and status != EXPIRED:
            shown["ended_at"] = self._stamp(begun[place])
        return shown

    def make_steps(self) -> list[e.Event]:
        """Returns the steps that a list at the end contains: one for each pause."""
        return [
            e.RunStepRecorded(
                observed_at=self.events[-1].observed_at + timedelta(seconds=1),
                step_id=f"step_{place}",
                type="tool_calls",
                status="completed" if following == QUEUED else "expired",
                tools=("f",),
                tool_call_ids=(f"call_{place}",),
                created_at=self._stamp(self.born + at),
                ended_at=self._stamp(self.born + until),
            )
            for place, ((status, at), (following, until)) in enumerate(pairwise(self.life))
            if status == REQUIRES_ACTION
        ]


def follow(world: World, number: int, seed: int = 0) -> list[TrueRun]:
    """Returns runs that were followed to their ends side by side, with what was learnt of clocks.

    The same seed gives the same runs.
    """
    chance, offset = Random(seed), ClockOffset()
    runs = [_Following(world, chance, 10.0 + it * BETWEEN_RUNS, it) for it in range(number)]
    looks = [(look.observed_at, place) for place, run in enumerate(runs) for look in run.looks]
    following = [iter(run.looks) for run in runs]
    for _, place in sorted(looks):
        runs[place].look(next(following[place]), offset)
    found = []
    for run in runs:
        steps = run.make_steps() if world.has_steps else []
        found.append(TrueRun(run.life, (*run.events, *steps), run.is_own))
    return found


def own_calls(world: World) -> World:
    """Returns the same world with all runs created by our own calls."""
    return replace(world, created=1.0)


def _to_moment(seconds: float) -> datetime:
    return FIRST + timedelta(seconds=seconds)


def _to_micros(bounds: tuple[float, float] | None) -> tuple[int, int] | None:
    return bounds and (math.floor(bounds[0] * 1e6), math.ceil(bounds[1] * 1e6))
