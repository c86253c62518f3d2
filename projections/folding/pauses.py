"""The pauses of a run that its steps prove; times in microseconds.

A step that calls functions is created when the run stops for them and ends when their outputs
arrive. So it bounds the pause to the server's second, even if no poll ever saw the pause. Between
two pauses the run was queued and in progress; the parts without a timestamp are inferred and
bounded.
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

# Created at, ended at, True if it calls functions, True if their outputs arrived.
Step = tuple[int, int, bool, bool]

# Tools that the service runs itself, without a pause; any other name is a function's.
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

# The largest clock difference to the server at which a pause that we observed still matches.
_CLOCK_SKEW = 2 * SECOND


class _Entry:
    """A transition of the run, and what its timestamp proves about the status before it."""

    __slots__ = ("gap", "moment", "status", "transition")

    def __init__(self, transition: Transition, gap: int | None = None) -> None:
        self.transition = transition
        # None unless the timestamp also tells when the status before was left; then, by how
        # much later the new status may have begun.
        self.gap = gap
        self.status, stamp, seen, _, after, *_ = transition
        # The first moment at which the status was known.
        self.moment = stamp if stamp is not None else min(seen, after or seen)


def step_of(event: RunStepRecorded) -> Step | None:
    """Returns the times of a step; None where one of them is missing."""
    if event.created_at is None or event.ended_at is None:
        return None
    calls = event.type == "tool_calls" and not BUILT_IN.issuperset(event.tools)
    return micros(event.created_at), micros(event.ended_at), calls, event.status == COMPLETED


def refine(
    transitions: Sequence[Transition], steps: Sequence[Step]
) -> tuple[list[Transition], dict[int, int]]:
    """Returns the transitions with the pauses that the steps prove, and the gaps after them.

    The gaps are by index of the transition, as `phase_intervals` expects them.
    """
    entries = [_Entry(it) for it in transitions]
    ordered = sorted(set(steps))
    pauses = [it for it in ordered if it[2]]
    for pause, observed in zip(pauses, _match(entries, pauses), strict=True):
        if observed is not None:
            _set_bounds(entries, entries.index(observed), pause)
        elif (index := _insert(entries, pause, ordered)) is not None:
            _set_bounds(entries, index, pause)
    if entries[-1].status in ENDED:
        # The list of steps is complete at the end, so there is no other pause between these.
        for before, entry in pairwise(entries):
            if (before.status, entry.status) == (QUEUED, IN_PROGRESS) and _is_stamped(entry):
                entry.gap = 0
    gaps = {index: it.gap for index, it in enumerate(entries) if it.gap is not None}
    return [entry.transition for entry in entries], gaps


def _match(entries: Sequence[_Entry], pauses: Sequence[Step]) -> list[_Entry | None]:
    """Returns the observed pause for each proven one: in order if as many, else by time."""
    waits = [index for index, entry in enumerate(entries) if entry.status == REQUIRES_ACTION]
    if len(waits) == len(pauses):
        return [entries[index] for index in waits]
    matches: list[_Entry | None] = []
    for began, *_ in pauses:
        if not waits:
            matches.append(None)
            continue
        fitting = [index for index in waits if _fits(entries, index, began)]
        matches.append(entries[fitting[0]] if fitting else None)
        waits = [index for index in waits if not fitting or index > fitting[0]]
    return matches


def _fits(entries: Sequence[_Entry], index: int, began: int) -> bool:
    before, earlier = entries[index].transition[3], entries[index - 1]
    latest = entries[index].moment + _CLOCK_SKEW
    # By the server's own clock, the run cannot have stopped before it started to work, and it
    # has stopped once since; a stale response may have shown it at work after it had stopped.
    if _is_stamped(earlier):
        return earlier.moment <= began <= latest
    earliest = earlier.moment if before is None else before
    return earliest - _CLOCK_SKEW <= began <= latest


def _insert(entries: list[_Entry], pause: Step, steps: Sequence[Step]) -> int | None:
    """Inserts a pause that no poll saw. Returns its index; None where it does not fit."""
    began = pause[0]
    # From the end, since most pauses come after those before.
    index = len(entries) - 1
    while index and entries[index].moment > began:
        index -= 1
    if entries[index].status in ENDED and entries[index].moment == began:
        # The run stopped within the second in which it ended.
        index -= 1
    around = entries[index]
    if around.status in ENDED or around.status == REQUIRES_ACTION:
        return None
    if around.status == QUEUED:
        # It was in progress before it stopped, since its first step at the latest.
        worked = next((it[0] for it in steps if around.moment <= it[0] <= began), began)
        since = around.moment - SECOND
        entries.insert(
            index + 1,
            _Entry((IN_PROGRESS, None, max(worked, around.moment), since, None, True, False)),
        )
        index += 1
    entries.insert(index + 1, _make_entry(REQUIRES_ACTION, began))
    return index + 1


def _set_bounds(entries: list[_Entry], index: int, pause: Step) -> None:
    """Sets both times of the pause at `index`, and the time of its successor to match."""
    began, over, _, has_outputs = pause
    entries[index] = _make_entry(REQUIRES_ACTION, began)
    if index + 1 == len(entries):
        return
    following = entries[index + 1]
    if following.status in ENDED and (not has_outputs or over >= following.moment):
        # It waited until the run ended.
        was_stamped = _is_stamped(following)
        following.gap = 0
        if not was_stamped:
            entries[index + 1] = _make_entry(following.status, over)
    elif following.status == QUEUED:
        entries[index + 1] = _make_entry(QUEUED, over)
    elif following.status == IN_PROGRESS and _is_stamped(following) and following.moment >= over:
        entries.insert(index + 1, _make_entry(QUEUED, over))
        following.gap = 0
    # Without a timestamp, it is not known how long the run was queued before it resumed.
    elif following.status == IN_PROGRESS:
        entries[index + 1] = _make_entry(IN_PROGRESS, over, max(0, following.moment - over))
    elif has_outputs:
        gap = max(0, following.moment - over)
        entries.insert(index + 1, _make_entry(IN_PROGRESS, over, gap))


def _make_entry(status: str, moment: int, gap: int = 0) -> _Entry:
    return _Entry((status, moment, moment, None, None, False, True), gap)


def _is_stamped(entry: _Entry) -> bool:
    return entry.transition[1] is not None
