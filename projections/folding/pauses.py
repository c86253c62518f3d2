"""The pauses of a run that its steps, or our own submissions, prove; times in microseconds.

A step that calls functions is created when the run stops for them and ends when their outputs
arrive. So it bounds the pause to the server's second, even if no poll ever saw the pause. Outputs
that our own client submitted end a pause that no step bounds. Between two pauses the run was queued
and in progress; the parts without a timestamp are inferred and bounded. The status of an open run
stays that of its last transition: a step shows what was, and not what is.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from projections.folding.json_text import key_text
from projections.folding.micros import SECOND, micros
from projections.folding.phases import UNLIMITED, Transition
from projections.folding.waits import Wait
from tracker.core.events import RunStepRecorded
from tracker.core.status import (
    COMPLETED,
    ENDED,
    IN_PROGRESS,
    QUEUED,
    REQUIRES_ACTION,
)

# Created at, ended at, True if it calls functions, True if their outputs arrived, and the ids of
# those calls.
Step = tuple[int, int, bool, bool, tuple[str, ...]]

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


class Pause(NamedTuple):
    """A stay in `requires_action` of a run, and what is known of its calls."""

    # The index of its interval among those of the run.
    interval: int
    # None if only steps prove it.
    wait: Wait | None
    # The one that bounds it, if any.
    step: Step | None = None


class _Entry:
    """A transition of the run, and what its timestamp proves about the status before it."""

    __slots__ = ("gap", "moment", "status", "step", "transition", "wait")

    def __init__(self, transition: Transition, gap: int | None = None) -> None:
        self.transition = transition
        # None unless the timestamp also tells when the status before was left; then, by how
        # much later the new status may have begun.
        self.gap = gap
        self.status, stamp, seen, _, after, *_ = transition
        # The first moment at which the status was known.
        self.moment = stamp if stamp is not None else min(seen, after or seen)
        # Of a pause.
        self.wait: Wait | None = None
        self.step: Step | None = None


def step_of(event: RunStepRecorded) -> Step | None:
    """Returns the times of a step; None where one of them is missing."""
    if event.created_at is None or event.ended_at is None:
        return None
    calls = event.type == "tool_calls" and not BUILT_IN.issuperset(event.tools)
    call_ids = tuple(key_text(it) for it in event.tool_call_ids if it) if calls else ()
    has_outputs = event.status == COMPLETED
    return micros(event.created_at), micros(event.ended_at), calls, has_outputs, call_ids


def refine(
    transitions: Sequence[Transition], steps: Sequence[Step], waits: Sequence[Wait]
) -> tuple[list[Transition], dict[int, int], list[Pause]]:
    """Returns the transitions with the pauses that are proven, the gaps after them, and all pauses.

    The gaps are by index of the transition, as `phase_intervals` expects them.
    """
    entries = [_Entry(it) for it in transitions]
    for wait in waits:
        entries[wait.index].wait = wait
    ordered = sorted(set(steps))
    pauses = [it for it in ordered if it[2]]
    for pause, observed in zip(pauses, _match(entries, pauses), strict=True):
        if observed is not None:
            _set_bounds(entries, entries.index(observed), pause)
        elif (index := _insert(entries, pause, ordered)) is not None:
            _set_bounds(entries, index, pause)
    for entry in [it for it in entries if it.wait is not None and it.step is None]:
        over = entry.wait.submitted_at if entry.wait is not None else None
        if over is not None:
            over = max(over, entry.moment)
            _set_end(entries, entries.index(entry), over, has_outputs=True, is_ours=True)
    if entries[-1].status in ENDED:
        # The list of steps is complete at the end, so there is no other pause between these.
        for before, entry in pairwise(entries):
            is_start = (before.status, entry.status) == (QUEUED, IN_PROGRESS)
            if steps and is_start and _is_stamped(entry):
                entry.gap = 0
    gaps = {index: it.gap for index, it in enumerate(entries) if it.gap is not None}
    found = [
        Pause(index, it.wait, it.step)
        for index, it in enumerate(entries)
        if it.status == REQUIRES_ACTION
    ]
    return [entry.transition for entry in entries], gaps, found


def _match(entries: Sequence[_Entry], pauses: Sequence[Step]) -> list[_Entry | None]:
    """Returns the observed pause for each proven one.

    By the ids of their calls; else in order if there are as many of an ended run; else by time.
    """
    waits = [index for index, entry in enumerate(entries) if entry.status == REQUIRES_ACTION]
    known: dict[int, int] = {}
    for number, pause in enumerate(pauses):
        index = next((it for it in waits if _has_calls(entries[it], pause)), None)
        if index is not None:
            known[number] = index
            waits.remove(index)
    others = [number for number in range(len(pauses)) if number not in known]
    if len(waits) == len(others) and entries[-1].status in ENDED:
        known |= dict(zip(others, waits, strict=True))
        others = []
    for number in others:
        fitting = [index for index in waits if _fits(entries, index, pauses[number])]
        if fitting:
            known[number] = fitting[0]
            waits = [index for index in waits if index > fitting[0]]
    return [entries[known[number]] if number in known else None for number in range(len(pauses))]


def _has_calls(entry: _Entry, pause: Step) -> bool:
    return entry.wait is not None and not entry.wait.calls.keys().isdisjoint(pause[4])


def _fits(entries: Sequence[_Entry], index: int, pause: Step) -> bool:
    began, call_ids, wait = pause[0], pause[4], entries[index].wait
    if call_ids and wait is not None and not any(map(_is_made_up, wait.calls)):
        # It is known to be a pause for other calls.
        return False
    before, earlier = entries[index].transition[3], entries[index - 1]
    latest = entries[index].moment + _CLOCK_SKEW
    # By the server's own clock, the run cannot have stopped before it started to work, and it
    # has stopped once since; a stale response may have shown it at work after it had stopped.
    if _is_stamped(earlier):
        return earlier.moment <= began <= latest
    earliest = earlier.moment if before is None else before
    return earliest - _CLOCK_SKEW <= began <= latest


def _is_made_up(call_id: str) -> bool:
    """True if an id is not the service's: of a call that no poll saw, or that came without one."""
    return not call_id or call_id.startswith("call ")


def _insert(entries: list[_Entry], pause: Step, steps: Sequence[Step]) -> int | None:
    """Inserts a pause that no poll saw. Returns its index; None where it does not fit."""
    began, over = pause[:2]
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
    if index == len(entries) - 1:
        # It is not known when the run went on as it was last seen.
        entries.append(_make_entry(around.status, max(over, began), UNLIMITED))
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
    began, over, _, has_outputs, _ = pause
    wait = entries[index].wait
    entries[index] = _make_entry(REQUIRES_ACTION, began)
    entries[index].wait, entries[index].step = wait, pause
    _set_end(entries, index, over, has_outputs=has_outputs)


def _set_end(
    entries: list[_Entry], index: int, over: int, *, has_outputs: bool, is_ours: bool = False
) -> None:
    """Sets the end of the pause at `index`, by our own clock if it `is_ours`."""
    if index + 1 == len(entries):
        return
    following = entries[index + 1]
    if following.gap == UNLIMITED:
        return
    if following.status in ENDED and (not has_outputs or over >= following.moment):
        # It waited until the run ended.
        if is_ours:
            return
        was_stamped = _is_stamped(following)
        following.gap = 0
        if not was_stamped:
            entries[index + 1] = _make_entry(following.status, over)
    elif following.status == QUEUED:
        entries[index + 1] = _make_entry(QUEUED, over, is_ours=is_ours)
    elif following.status == IN_PROGRESS and _is_stamped(following) and following.moment >= over:
        entries.insert(index + 1, _make_entry(QUEUED, over, is_ours=is_ours))
        following.gap = 0
    # Without a timestamp, it is not known how long the run was queued before it resumed.
    elif following.status == IN_PROGRESS:
        gap = max(0, following.moment - over)
        entries[index + 1] = _make_entry(IN_PROGRESS, over, gap, is_ours=is_ours)
    elif has_outputs:
        gap = max(0, following.moment - over)
        entries.insert(index + 1, _make_entry(IN_PROGRESS, over, gap, is_ours=is_ours))


def _make_entry(status: str, moment: int, gap: int = 0, *, is_ours: bool = False) -> _Entry:
    stamp, before = (None, moment) if is_ours else (moment, None)
    return _Entry((status, stamp, moment, before, None, False, True), gap)


def _is_stamped(entry: _Entry) -> bool:
    return entry.transition[1] is not None
