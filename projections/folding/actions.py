"""What a run waited for, call by call, folded from its events: pure, no database.

A call is required when the run stops for it, and resolved by what comes first: our own client
submits its output, the run asks for other calls, or it goes on or ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from projections.folding.json_text import plain_text
from projections.folding.micros import SECOND, micros, micros_or_none
from projections.folding.phases import close_pause
from tracker.core import events as e
from tracker.core.snapshot import ToolCall
from tracker.core.status import REQUIRES_ACTION
from tracker.event_store.store import RecordedEvent

# Stands for the calls of a pause that no poll saw.
_UNSEEN = ToolCall.model_construct(id="", type=None, name=None, arguments=None)


class Action:
    """One call of one pause; `width` is how far off its required moment may be."""

    __slots__ = ("call", "required", "resolved", "seq", "waited_width", "width")

    def __init__(self, seq: int, call: ToolCall, required: int, width: int | None) -> None:
        self.seq = seq
        self.call = call
        self.required = required
        self.width = width
        self.resolved: int | None = None
        self.waited_width: int | None = None

    def resolve(self, moment: int, width: int | None) -> None:
        """The wait is over at `moment`, which may be off by `width`."""
        self.resolved = moment
        self.waited_width = None if self.width is None or width is None else self.width + width


class Actions:
    """The actions of one run on their way through a fold. `version` is the last that counted.

    `changed` are those of `known` that the batch has changed.
    """

    __slots__ = ("changed", "key", "known", "seq", "version")

    def __init__(self, key: str) -> None:
        self.key = key
        self.version = 0
        self.seq = 0
        self.known: dict[tuple[int, str], Action] = {}
        self.changed: dict[tuple[int, str], Action] = {}


def take(actions: Actions, recorded: RecordedEvent) -> None:
    """Brings `actions` on by one event; one that they already include changes nothing."""
    handler = HANDLERS.get(type(recorded.event))
    if handler is not None and recorded.version > actions.version:
        actions.version = recorded.version
        handler(actions, recorded.event)


def action_values(key: str, action: Action) -> list[Any]:
    """The row of an action as it is written, its moments as numbers."""
    waited, width = None, action.width
    if action.resolved is not None:
        waited, width = (action.resolved - action.required) / SECOND, action.waited_width
    call = action.call
    return [
        key,
        action.seq,
        call.id,
        plain_text(call.type),
        plain_text(call.name),
        plain_text(call.arguments),
        action.required,
        action.resolved,
        waited,
        None if width is None else width / SECOND,
    ]


def _required(actions: Actions, event: e.RunActionRequired) -> None:
    if event.previous != REQUIRES_ACTION or not actions.seq:
        actions.seq += 1
    moment = micros(
        event.occurred_at or min(event.observed_at, event.not_after or event.observed_at)
    )
    before = micros_or_none(event.not_before)
    width = None if before is None else max(0, moment - before)
    calls = {_key(call.id): call for call in event.tool_calls or (_UNSEEN,)}
    for action in _open(actions):
        if action.call.id not in calls:
            _resolve(actions, action, max(moment, action.required), width)
    for call_id, call in calls.items():
        if (actions.seq, call_id) not in actions.known:
            named = call.model_copy(update={"id": call_id})
            action = Action(actions.seq, named, moment, width)
            actions.known[actions.seq, call_id] = actions.changed[actions.seq, call_id] = action


def _submitted(actions: Actions, event: e.ToolOutputsSubmitted) -> None:
    ids = {_key(call_id) for call_id in event.tool_call_ids}
    moment = micros(event.observed_at)
    for action in _open(actions):
        if action.call.id in ids:
            # We did it ourselves: nothing is uncertain about when.
            _resolve(actions, action, max(moment, action.required), 0)


def _went_on(actions: Actions, event: e.Change) -> None:
    for action in _open(actions):
        moment, width = close_pause(
            action.required,
            action.width,
            micros_or_none(event.occurred_at),
            micros(event.observed_at),
            micros_or_none(event.not_before),
            micros_or_none(event.not_after),
            event.inferred,
        )
        _resolve(actions, action, moment, width)


def _open(actions: Actions) -> list[Action]:
    return [it for it in actions.known.values() if it.resolved is None]


def _resolve(actions: Actions, action: Action, moment: int, width: int | None) -> None:
    action.resolve(moment, width)
    actions.changed[action.seq, action.call.id] = action


def _key(call_id: str) -> str:
    return plain_text(call_id) or ""


HANDLERS: dict[type[e.Event], Callable[[Actions, Any], None]] = {
    e.RunActionRequired: _required,
    e.ToolOutputsSubmitted: _submitted,
    e.RunStatusChanged: _went_on,
    **dict.fromkeys(e.RUN_ENDS.values(), _went_on),
}
