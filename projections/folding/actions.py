"""The tool calls that a run waited for: rows made of its pauses.

A call is required when the run stops for it. It is resolved by the first of these: our own client
submits its output, the run asks for other calls, or the pause is over. So the calls of a pause
last together as long as the pause.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from projections.folding.json_text import plain_text
from projections.folding.micros import SECOND
from projections.folding.pauses import Pause
from projections.folding.phases import PhaseInterval
from projections.folding.waits import UNSEEN, WaitedCall


def action_rows(
    key: str, intervals: Sequence[PhaseInterval], pauses: Sequence[Pause]
) -> Iterator[list[Any]]:
    """Yields the rows of the actions of a run in the order of `run_actions`, times in microseconds.

    Pauses are counted from 1. The one row of a pause that no poll saw has no id of a call.
    """
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
            if is_whole or call.call.id not in own or (pause.step and call.is_submitted):
                # The service's own times of the pause hold for it.
                bounds = WaitedCall(call.call, None)
            yield _action_values(key, number + 1, bounds, intervals[pause.interval])


def _action_values(key: str, seq: int, waited: WaitedCall, interval: PhaseInterval) -> list[Any]:
    began, over = interval.entered_at, interval.left_at
    required, uncertainty = began, interval.entered_uncertainty
    if waited.required is not None:
        required, uncertainty = max(waited.required[0], began), waited.required[1]
    if over is not None:
        required = min(required, over)
    resolved, resolved_uncertainty = over, interval.left_uncertainty
    if waited.resolved is not None and (over is None or waited.resolved[0] < over):
        resolved, resolved_uncertainty = max(waited.resolved[0], required), waited.resolved[1]
    seconds = None
    if resolved is not None:
        seconds = (resolved - required) / SECOND
        if uncertainty is None or resolved_uncertainty is None:
            uncertainty = None
        else:
            uncertainty += resolved_uncertainty
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
        seconds,
        None if uncertainty is None else uncertainty / SECOND,
    ]
