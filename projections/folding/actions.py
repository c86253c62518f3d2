"""The tool calls that a run waited for, folded from its events.

A call is required when the run stops for it. It is resolved by the first of these: our own client
submits its output, the run asks for other calls, or the run resumes or ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from projections.folding.json_text import key_text, plain_text
from projections.folding.micros import SECOND, micros, micros_or_none
from projections.folding.phases import close_pause
from tracker.core import events as e
from tracker.core.snapshot import ToolCall
from tracker.core.status import REQUIRES_ACTION
from tracker.event_store.store import RecordedEvent

# Stands for the calls of a pause that no poll saw.
_UNSEEN = ToolCall.model_construct(id="", type=None, name=None, arguments=None)


class Action:
    """One call of one pause; times in microseconds."""

    __slots__ = (
        "call",
        "required_at",
        "required_uncertainty",
        "resolved_at",
        "seq",
        "waited_uncertainty",
    )

    def __init__(self, seq: int, call: ToolCall, required_at: int, uncertainty: int | None) -> None:
        # The number of the pause within the run.
        self.seq = seq
        self.call = call
        self.required_at = required_at
        # None where nothing limits it.
        self.required_uncertainty = uncertainty
        # None while the call is open.
        self.resolved_at: int | None = None
        self.waited_uncertainty: int | None = None

    def resolve(self, moment: int, uncertainty: int | None) -> None:
        """Closes the call at `moment`, which may be off by `uncertainty`."""
        self.resolved_at = moment
        self.waited_uncertainty = (
            None
            if self.required_uncertainty is None or uncertainty is None
            else self.required_uncertainty + uncertainty
        )


class RunActions:
    """The actions of one run while its events are folded."""

    __slots__ = ("changed", "key", "known", "seq", "version")

    def __init__(self, key: str) -> None:
        self.key = key
        # The version of the last event that was folded in.
        self.version = 0
        # The number of the latest pause.
        self.seq = 0
        # By number of the pause and id of the call.
        self.known: dict[tuple[int, str], Action] = {}
        # Those of `known` that are to be written.
        self.changed: dict[tuple[int, str], Action] = {}


def fold_actions(actions: RunActions, recorded: RecordedEvent) -> None:
    """Applies an event to `actions`; ignores one that was folded before."""
    handler = HANDLERS.get(type(recorded.event))
    if handler is not None and recorded.version > actions.version:
        actions.version = recorded.version
        handler(actions, recorded.event)


def action_values(key: str, action: Action) -> list[Any]:
    """Returns the row of an action in the order of `run_actions`, times in microseconds."""
    waited, uncertainty = None, action.required_uncertainty
    if action.resolved_at is not None:
        waited = (action.resolved_at - action.required_at) / SECOND
        uncertainty = action.waited_uncertainty
    call = action.call
    return [
        key,
        action.seq,
        call.id,
        plain_text(call.type),
        plain_text(call.name),
        plain_text(call.arguments),
        action.required_at,
        action.resolved_at,
        waited,
        None if uncertainty is None else uncertainty / SECOND,
    ]


def _on_required(actions: RunActions, event: e.RunActionRequired) -> None:
    if event.previous != REQUIRES_ACTION or not actions.seq:
        actions.seq += 1
    moment = micros(
        event.occurred_at or min(event.observed_at, event.not_after or event.observed_at)
    )
    before = micros_or_none(event.not_before)
    uncertainty = None if before is None else max(0, moment - before)
    calls = {key_text(call.id): call for call in event.tool_calls or (_UNSEEN,)}
    for action in _list_open(actions):
        if action.call.id not in calls:
            _resolve(actions, action, max(moment, action.required_at), uncertainty)
    for call_id, call in calls.items():
        if (actions.seq, call_id) not in actions.known:
            stored = call.model_copy(update={"id": call_id})
            action = Action(actions.seq, stored, moment, uncertainty)
            actions.known[actions.seq, call_id] = actions.changed[actions.seq, call_id] = action


def _on_submitted(actions: RunActions, event: e.ToolOutputsSubmitted) -> None:
    ids = {key_text(call_id) for call_id in event.tool_call_ids}
    moment = micros(event.observed_at)
    for action in _list_open(actions):
        if action.call.id in ids:
            # Our own client submitted the output, so the time is exact.
            _resolve(actions, action, max(moment, action.required_at), 0)


def _on_resumed(actions: RunActions, event: e.Change) -> None:
    for action in _list_open(actions):
        moment, uncertainty = close_pause(
            action.required_at,
            action.required_uncertainty,
            micros_or_none(event.occurred_at),
            micros(event.observed_at),
            micros_or_none(event.not_before),
            micros_or_none(event.not_after),
            event.inferred,
        )
        _resolve(actions, action, moment, uncertainty)


def _list_open(actions: RunActions) -> list[Action]:
    return [it for it in actions.known.values() if it.resolved_at is None]


def _resolve(actions: RunActions, action: Action, moment: int, uncertainty: int | None) -> None:
    action.resolve(moment, uncertainty)
    actions.changed[action.seq, action.call.id] = action


HANDLERS: dict[type[e.Event], Callable[[RunActions, Any], None]] = {
    e.RunActionRequired: _on_required,
    e.ToolOutputsSubmitted: _on_submitted,
    e.RunStatusChanged: _on_resumed,
    **dict.fromkeys(e.RUN_ENDS.values(), _on_resumed),
}
