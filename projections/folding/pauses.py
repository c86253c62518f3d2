"""The pauses of a run that its steps, or our own submissions, prove; times in microseconds.

A step that calls functions is created when the run stops for them and ends when their outputs
arrive. So its stamps are those of the pause, even if no poll ever saw the pause. Outputs that our
own client submitted end a pause that no step bounds. Between two pauses the run was queued and in
progress. The status of an open run stays that of its last transition: a step shows what was, and
not what is.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from projections.folding.durations import UNKNOWN
from projections.folding.estimator import estimate
from projections.folding.evidence import is_stamped, last_moment
from projections.folding.json_text import key_text
from projections.folding.micros import SECOND, micros
from projections.folding.network import (
    INFERRED,
    OBSERVED,
    SERVER,
    Boundary,
    measure_clocks,
    solve,
)
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

# By how much an old answer may be late where a pause that a look saw is matched by time.
_STALENESS = 2 * SECOND


class Pause(NamedTuple):
    """A stay in `requires_action` of a run, and what is known of its calls."""

    # The place of its boundary in the line of the run.
    place: int
    # None if only steps prove it.
    wait: Wait | None
    # The one that bounds it, if any.
    step: Step | None = None


class _Entry:
    """A boundary of the run while pauses are placed."""

    __slots__ = (
        *("boundary", "is_reported", "is_resumption", "moment", "most_ahead"),
        *("step", "wait", "window"),
    )

    def __init__(self, boundary: Boundary, moment: float = 0, *, is_reported: bool = False) -> None:
        self.boundary = boundary
        # True if it is a transition of the run, and not added for a step.
        self.is_reported = is_reported
        # Where it is among the others: its stamp, or else a limit of it.
        self.moment = moment
        # The earliest and latest moment at which it can have been, by stamps and by looks.
        self.window = _ANYWHERE
        # By how much the service's clock is ahead of ours, at most.
        self.most_ahead: float = inf
        # True if it only says that an open run went on as it was last seen.
        self.is_resumption = False
        # Of a pause.
        self.wait: Wait | None = None
        self.step: Step | None = None

    @property
    def status(self) -> str:
        return self.boundary[0]


_ANYWHERE = (-inf, inf, -inf, inf)


def step_of(event: RunStepRecorded) -> Step | None:
    """Returns the times of a step; None where one of them is missing."""
    if event.created_at is None or event.ended_at is None:
        return None
    calls = event.type == "tool_calls" and not BUILT_IN.issuperset(event.tools)
    call_ids = tuple(key_text(it) for it in event.tool_call_ids if it) if calls else ()
    has_outputs = event.status == COMPLETED
    return micros(event.created_at), micros(event.ended_at), calls, has_outputs, call_ids


def place_pauses(
    transitions: Sequence[Boundary], steps: Sequence[Step], waits: Sequence[Wait]
) -> tuple[list[Boundary], list[tuple[Wait | None, Step | None]]]:
    """Returns the boundaries with the pauses that are proven, and the calls of all pauses."""
    entries = [_Entry(it, is_reported=True) for it in transitions]
    _find_places(entries)
    for wait in waits:
        entries[wait.index].wait = wait
    ordered = sorted(set(steps))
    pauses = [it for it in ordered if it[2]]
    matched = _match(entries, pauses)
    for pause, observed in zip(pauses, matched, strict=True):
        if observed is not None:
            _set_step(entries, entries.index(observed), pause)
    if None in matched:
        _find_places(entries)
    for pause, observed in zip(pauses, matched, strict=True):
        if observed is None and (place := _insert(entries, pause, ordered)) is not None:
            _set_step(entries, place, pause, is_seen=False)
    for entry in [it for it in entries if it.wait is not None and it.step is None]:
        over = entry.wait.submitted_at if entry.wait is not None else None
        if over is not None:
            _end_by_submission(entries, entries.index(entry), over)
    calls = [(it.wait, it.step) for it in entries if it.status == REQUIRES_ACTION]
    return [it.boundary for it in entries], calls


def _find_places(entries: Sequence[_Entry]) -> None:
    """Finds the moments and windows of entries by all that is known so far.

    Without a stamp, work counts from the earliest moment at which it can have begun, and a pause or
    an end from the latest: what a step tells may lie between.
    """
    line = [it.boundary for it in entries]
    solution = solve(line, *measure_clocks(line))
    if solution is None:
        for entry, moment in zip(entries, estimate(line).moments, strict=True):
            entry.moment = entry.boundary.low if is_stamped(entry.boundary) else moment
        return
    least, most = solution.least_ahead, solution.most_ahead
    for place, entry in enumerate(entries):
        low, after, high, until = solution.box(place)
        entry.window = (low, high, after + least, until + most)
        entry.most_ahead = most
        if is_stamped(entry.boundary):
            entry.moment = entry.boundary.low
        elif entry.status == REQUIRES_ACTION or entry.status in ENDED:
            entry.moment = min(high, until + most)
        else:
            entry.moment = max(low, after + least)


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
        fitting = [index for index in waits if _fits(entries[index], pauses[number])]
        if fitting:
            known[number] = fitting[0]
            waits = [index for index in waits if index > fitting[0]]
    return [entries[known[number]] if number in known else None for number in range(len(pauses))]


def _has_calls(entry: _Entry, pause: Step) -> bool:
    return entry.wait is not None and not entry.wait.calls.keys().isdisjoint(pause[4])


def _fits(entry: _Entry, pause: Step) -> bool:
    began, call_ids, wait = pause[0], pause[4], entry.wait
    if call_ids and wait is not None and not any(map(_is_made_up, wait.calls)):
        # It is known to be a pause for other calls.
        return False
    low, high, earliest, latest = entry.window
    return low <= began <= high and earliest - _STALENESS <= began <= latest + _STALENESS


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
    boundary = around.boundary
    if index and not is_stamped(boundary) and boundary.after + around.most_ahead > began:
        # It may have been seen only after the pause, so it may have begun before the look.
        around.boundary = boundary._replace(after=-inf)
    if index == len(entries) - 1:
        # It is not known when the run went on as it was last seen.
        queued = _Entry(_stamp(Boundary(QUEUED), over), max(over, began))
        queued.is_resumption = True
        entries.append(queued)
        if around.status != QUEUED:
            entries.append(_Entry(Boundary(around.status, basis=INFERRED), queued.moment))
    if around.status == QUEUED:
        # It was in progress before it stopped, since its first step at the latest.
        worked = next((it[0] for it in steps if around.moment <= it[0] < began), None)
        latest = inf if worked is None else last_moment(worked)
        work = Boundary(IN_PROGRESS, high=latest, basis=INFERRED)
        moment = began if worked is None else worked
        index += 1
        entries.insert(index, _Entry(work, moment))
    entries.insert(index + 1, _Entry(Boundary(REQUIRES_ACTION), began))
    return index + 1


def _set_step(entries: list[_Entry], index: int, pause: Step, *, is_seen: bool = True) -> None:
    """Applies the stamps of a step to the pause at `index`."""
    entry = entries[index]
    entry.boundary = _stamp(entry.boundary, pause[0])
    entry.step = pause
    if is_seen or not _may_hide_work(entries, index, pause):
        _end_by_step(entries, index, pause)
    elif pause[3]:
        entries.insert(index + 1, _Entry(_stamp(Boundary(UNKNOWN), pause[1]), pause[1]))


def _may_hide_work(entries: Sequence[_Entry], index: int, pause: Step) -> bool:
    """True if the last look before the next status may have been after the pause.

    It showed the status that is reported before the pause, and so the run was not queued until
    the next one, unless it showed that.
    """
    if index + 1 == len(entries) or not entries[index + 1].is_reported:
        return False
    following = entries[index + 1]
    if following.status not in (QUEUED, IN_PROGRESS) or is_stamped(following.boundary):
        return False
    shown = next(it.status for it in reversed(entries[:index]) if it.is_reported)
    return shown != QUEUED and following.boundary.after + following.most_ahead > pause[1]


def _end_by_step(entries: list[_Entry], index: int, pause: Step) -> None:
    """Applies the stamp at which the outputs arrived to the end of the pause at `index`."""
    if index + 1 == len(entries) or entries[index + 1].is_resumption:
        return
    over, has_outputs = pause[1], pause[3]
    following = entries[index + 1]
    boundary, status = following.boundary, following.status
    if status in ENDED and (not has_outputs or over >= following.moment):
        # It waited until the run ended.
        if not is_stamped(boundary):
            following.boundary = _stamp(boundary._replace(low=-inf), over)
    elif status == QUEUED:
        following.boundary = _stamp(boundary, over)
    elif status == IN_PROGRESS and boundary.high >= over:
        entries.insert(index + 1, _Entry(_stamp(Boundary(QUEUED), over), over))
    elif status != IN_PROGRESS and has_outputs:
        entries.insert(index + 1, _Entry(_stamp(Boundary(UNKNOWN), over), over))


def _end_by_submission(entries: list[_Entry], index: int, over: float) -> None:
    """Applies the moment at which our own outputs were accepted to the end of a pause."""
    if index + 1 == len(entries) or entries[index + 1].is_resumption:
        return
    following = entries[index + 1]
    boundary, status = following.boundary, following.status
    if over >= boundary.until:
        return
    if status in (QUEUED, UNKNOWN):
        following.boundary = boundary._replace(until=over)
        return
    resumed = QUEUED if status == IN_PROGRESS else UNKNOWN
    added = Boundary(resumed, until=over, basis=INFERRED if resumed == UNKNOWN else OBSERVED)
    entries.insert(index + 1, _Entry(added, following.moment))


def _stamp(boundary: Boundary, stamp: int) -> Boundary:
    """Returns a boundary with a stamp of a step, which counts more than another one."""
    low, high = max(boundary.low, stamp), min(boundary.high, last_moment(stamp))
    if low > high:
        low, high = stamp, last_moment(stamp)
    return boundary._replace(low=low, high=high, basis=SERVER)
