"""The tool calls that a run waited for: rows made of its pauses.

A call is required when the run stops for it. It is resolved by the first of these: our own client
submits its output, the run asks for other calls, or the pause is over. So the calls of a pause
last together as long as the pause.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any

from projections.folding.durations import Duration, between, find_moment
from projections.folding.json_text import plain_text
from projections.folding.micros import seconds
from projections.folding.network import Box
from projections.folding.pauses import Pause
from projections.folding.phases import duration_columns, uncertainty_of
from projections.folding.status_trace import Measured
from projections.folding.waits import UNSEEN, Moment, WaitedCall


def action_rows(key: str, measured: Measured) -> Iterator[list[Any]]:
    """Yields the rows of the actions of a run in the order of `run_actions`, times in microseconds.

    Pauses are counted from 1. The one row of a pause that no poll saw has no id of a call.
    """
    pauses = measured.pauses
    steps = [() if it.step is None else it.step[4] for it in pauses]
    by_step = {call_id: number for number, ids in enumerate(steps) for call_id in ids}
    seen = [call for it in pauses if it.wait is not None for call in it.wait.calls.values()]
    for number, pause in enumerate(pauses):
        own = {} if pause.wait is None else pause.wait.calls
        calls = [it for it in own.values() if by_step.get(it.call.id, number) == number]
        is_whole = len(calls) < len(own)
        # Calls that a poll saw in another pause, where the run went on between two polls.
        calls += [it for it in seen if by_step.get(it.call.id) == number and it.call.id not in own]
        for call in calls or [WaitedCall(UNSEEN, None)]:
            bounds = call
            if is_whole or call.call.id not in own or _ends_pause(call, pause, measured):
                # The service's own times of the pause hold for it.
                bounds = WaitedCall(call.call, None)
            yield _action_values(key, number + 1, bounds, measured, pause.place)


def _ends_pause(call: WaitedCall, pause: Pause, measured: Measured) -> bool:
    """True if the output of a call was the last that the run waited for, and it went on since."""
    if not call.is_submitted or pause.wait is None or pause.place + 1 == len(measured.line):
        return False
    if pause.step is not None:
        return True
    return call.resolved is not None and call.resolved.until == pause.wait.submitted_at


def _action_values(
    key: str, seq: int, waited: WaitedCall, measured: Measured, place: int
) -> list[Any]:
    required, resolved, duration = _measure_wait(waited, measured, place)
    value, least, most = duration_columns(duration)
    call = waited.call
    return [
        key,
        seq,
        call.id,
        plain_text(call.type),
        plain_text(call.name),
        plain_text(call.arguments),
        required,
        resolved,
        value,
        None if duration is None else seconds(uncertainty_of(duration)),
        least,
        most,
    ]


def _measure_wait(
    waited: WaitedCall, measured: Measured, place: int
) -> tuple[int, int | None, Duration | None]:
    """Returns when a call was required and resolved, and how long it waited."""
    line, estimate, _ = measured
    solution, began = estimate.solution, estimate.moments[place]
    is_over = place + 1 < len(line)
    over = estimate.moments[place + 1] if is_over else None
    if waited.required is None and waited.resolved is None:
        return began, over, estimate.phases[place].duration if is_over else None
    last = solution.box(place + 1) if is_over else (-inf, -inf, inf, inf)
    first: Box | None = solution.box(place)
    second: Box | None = last
    required, resolved, is_known = began, over, True
    if waited.required is not None:
        first = _within(waited.required, solution.box(place), last, solution.slip)
        moment = None if first is None else find_moment(first, solution)
        is_known = moment is not None
        required = max(began if moment is None else moment, began)
        if over is not None:
            required = min(required, over)
    loose = None
    if waited.resolved is not None:
        second = None if first is None else _within(waited.resolved, first, last, solution.slip)
        moment = None if second is None else find_moment(second, solution)
        is_known = is_known and moment is not None
        if moment is not None:
            resolved = moment if over is None else min(moment, over)
    elif is_over and line[place + 1].is_loose:
        loose = estimate.line[place + 1].after - solution.slip
    if resolved is None:
        if second is None or waited.resolved is None:
            return required, None, None
        resolved = required
    resolved = max(resolved, required)
    if first is None or second is None:
        return required, resolved, Duration(None, 0, inf)
    value = resolved - required if is_known else None
    ahead = (solution.least_ahead, solution.most_ahead)
    duration = between(first, second, *ahead, value, loose)
    if value is not None and not duration.at_least <= value <= duration.at_most:
        duration = duration._replace(value=None)
    return required, resolved, duration


def _within(moment: Moment, first: Box, last: Box, slip: int) -> Box | None:
    """Returns the ends of a moment between two boundaries; None if it contradicts them."""
    low, after = max(moment.low, first[0]), max(moment.after - slip, first[1])
    high, until = min(moment.high, last[2]), min(moment.until + slip, last[3])
    return None if low > high or after > until else (low, after, high, until)
