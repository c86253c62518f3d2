"""What a run's steps prove of its pauses: pure; moments in microseconds.

A step that calls functions is created when the run stops for them and ends when their outputs
came, so it bounds the pause to the server's second, whether or not a poll ever saw it. Between
two pauses the run queued and worked: what no stamp tells of that is inferred and bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from projections.folding.micros import SECOND, micros
from projections.folding.phases import Transition
from tracker.core.events import RunStepRecorded
from tracker.core.status import (
    COMPLETED,
    ENDED,
    IN_PROGRESS,
    QUEUED,
    REQUIRES_ACTION,
)

# When it was created and ended, whether it calls functions, and whether their outputs came.
Step = tuple[int, int, bool, bool]

# Kinds of tools that the service runs itself, without a pause; any other name is a function's.
BUILT_IN = frozenset(
    (
        "azure_ai_search",
        "azure_function",
        "bing_custom_search",
        "bing_grounding",
        "browser_automation",
        "code_interpreter",
        "deep_research",
        "fabric_dataagent",
        "file_search",
        "mcp",
        "openapi",
        "retrieval",
        "search",
        "sharepoint_grounding",
        "unknown",
        "wanx",
    )
)

# How far our clock may be from the server's where a pause is looked for among what we saw.
_SLACK = 2 * SECOND


class _Entry:
    """A transition. `slack` is None unless its stamp also tells when the status before was left.

    It is by how much later than that the status may have begun.
    """

    __slots__ = ("moment", "slack", "status", "transition")

    def __init__(self, transition: Transition, slack: int | None = None) -> None:
        self.transition = transition
        self.slack = slack
        self.status, stamp, seen, _, after, *_ = transition
        # The first moment at which it was known.
        self.moment = stamp if stamp is not None else min(seen, after or seen)


def step_of(event: RunStepRecorded) -> Step | None:
    """What a step says of its run; None where it says nothing."""
    if event.created_at is None or event.ended_at is None:
        return None
    calls = event.type == "tool_calls" and not BUILT_IN.issuperset(event.tools)
    return micros(event.created_at), micros(event.ended_at), calls, event.status == COMPLETED


def refined(
    transitions: Sequence[Transition], steps: Sequence[Step]
) -> tuple[list[Transition], dict[int, int]]:
    """The transitions with the pauses that the steps prove, and which of them are certain.

    By their index and with their slack, as `stays` takes them.
    """
    line = [_Entry(it) for it in transitions]
    ordered = sorted(set(steps))
    pauses = [it for it in ordered if it[2]]
    for pause, seen in zip(pauses, _matches(line, pauses), strict=True):
        if seen is not None:
            _settle(line, line.index(seen), pause)
        elif (place := _insert(line, pause, ordered)) is not None:
            _settle(line, place, pause)
    if line[-1].status in ENDED:
        # Steps are listed in full at the end, so that no other pause lies between these.
        for before, entry in pairwise(line):
            if (before.status, entry.status) == (QUEUED, IN_PROGRESS) and _is_stamped(entry):
                entry.slack = 0
    certain = {index: it.slack for index, it in enumerate(line) if it.slack is not None}
    return [entry.transition for entry in line], certain


def _matches(line: Sequence[_Entry], pauses: Sequence[Step]) -> list[_Entry | None]:
    """For each pause, what we saw of it: all of them in turn, or the one of the same time."""
    waits = [index for index, entry in enumerate(line) if entry.status == REQUIRES_ACTION]
    if len(waits) == len(pauses):
        return [line[index] for index in waits]
    found: list[_Entry | None] = []
    for began, *_ in pauses:
        fitting = [index for index in waits if _fits(line, index, began)]
        found.append(line[fitting[0]] if fitting else None)
        waits = [index for index in waits if not fitting or index > fitting[0]]
    return found


def _fits(line: Sequence[_Entry], index: int, began: int) -> bool:
    before, earlier = line[index].transition[3], line[index - 1]
    latest = line[index].moment + _SLACK
    # By the server's own clock, it cannot have stopped before it went to work, and it stopped
    # once since; an old answer may have shown it at work when it had stopped.
    if _is_stamped(earlier):
        return earlier.moment <= began <= latest
    earliest = earlier.moment if before is None else before
    return earliest - _SLACK <= began <= latest


def _insert(line: list[_Entry], pause: Step, steps: Sequence[Step]) -> int | None:
    """Puts a pause that nobody saw in its place, which is given; None where it has none."""
    began = pause[0]
    place = max((i for i, it in enumerate(line) if it.moment <= began), default=0)
    if line[place].status in ENDED and line[place].moment == began:
        # It stopped within the second in which it ended.
        place -= 1
    around = line[place]
    if around.status in ENDED or around.status == REQUIRES_ACTION:
        return None
    if around.status == QUEUED:
        # It worked before it stopped, since its first step at the latest.
        worked = next((it[0] for it in steps if around.moment <= it[0] <= began), began)
        since = around.moment - SECOND
        line.insert(
            place + 1,
            _Entry((IN_PROGRESS, None, max(worked, around.moment), since, None, True, False)),
        )
        place += 1
    line.insert(place + 1, _stamped(REQUIRES_ACTION, began))
    return place + 1


def _settle(line: list[_Entry], place: int, pause: Step) -> None:
    """Gives the pause at `place` its two moments, and what comes after it the second."""
    began, over, _, answered = pause
    line[place] = _stamped(REQUIRES_ACTION, began)
    if place + 1 == len(line):
        return
    following = line[place + 1]
    if following.status in ENDED and (not answered or over >= following.moment):
        # It waited until the end.
        stamped = _is_stamped(following)
        following.slack = 0
        if not stamped:
            line[place + 1] = _stamped(following.status, over)
    elif following.status == QUEUED:
        line[place + 1] = _stamped(QUEUED, over)
    elif following.status == IN_PROGRESS and _is_stamped(following) and following.moment >= over:
        line.insert(place + 1, _stamped(QUEUED, over))
        following.slack = 0
    # Without a stamp, nothing tells for how long it queued before it worked again.
    elif following.status == IN_PROGRESS:
        line[place + 1] = _stamped(IN_PROGRESS, over, max(0, following.moment - over))
    elif answered:
        line.insert(place + 1, _stamped(IN_PROGRESS, over, max(0, following.moment - over)))


def _stamped(status: str, moment: int, slack: int = 0) -> _Entry:
    return _Entry((status, moment, moment, None, None, False, True), slack)


def _is_stamped(entry: _Entry) -> bool:
    return entry.transition[1] is not None
