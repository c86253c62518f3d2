"""The calls of one stay in `requires_action`, and how each was answered; times in microseconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import NamedTuple

from projections.folding.json_text import key_text
from tracker.core.snapshot import ToolCall

# Stands for the calls of a pause that no poll saw.
UNSEEN = ToolCall.model_construct(id="", type=None, name=None, arguments=None)
_CALL_BYTES = 1000


class Moment(NamedTuple):
    """The evidence of a moment, as that of a boundary; unknown ends are infinite."""

    low: float = -inf
    high: float = inf
    after: float = -inf
    until: float = inf


class WaitedCall:
    """A call that a run waited for. Times are None where they are those of the whole wait."""

    __slots__ = ("call", "is_submitted", "required", "resolved")

    def __init__(self, call: ToolCall, required: Moment | None) -> None:
        self.call = call
        # Set if the run asked for it later than for others.
        self.required = required
        # Set if it was answered before the run went on.
        self.resolved: Moment | None = None
        # True if our own client answered it.
        self.is_submitted = False


class Wait:
    """A stay in `requires_action` that is a transition of its run, and its calls by id."""

    __slots__ = ("calls", "index")

    def __init__(self, index: int, calls: Iterable[ToolCall]) -> None:
        # That of the transition among those of the run.
        self.index = index
        self.calls = {it.id: WaitedCall(it, None) for it in calls}

    def without_looks(self) -> Wait:
        """Returns the same without the times by our clock, which was set meanwhile."""
        copy = Wait(self.index, ())
        for call_id, it in self.calls.items():
            call = WaitedCall(it.call, _without_looks(it.required))
            call.resolved, call.is_submitted = _without_looks(it.resolved), it.is_submitted
            copy.calls[call_id] = call
        return copy

    @property
    def submitted_at(self) -> float | None:
        """Returns when our own client had answered all calls; None if it did not."""
        moment: float | None = None
        for call in self.calls.values():
            if call.resolved is None:
                return None
            if call.is_submitted:
                moment = max(call.resolved.until, moment or 0)
        return moment

    @property
    def held_bytes(self) -> int:
        """Returns roughly how much memory the calls take."""
        return estimate_bytes(it.call for it in self.calls.values())

    def replace(self, calls: Mapping[str, ToolCall], moment: Moment) -> None:
        """Applies that the run asked for other calls: those that are gone were answered."""
        for call_id, known in self.calls.items():
            if call_id not in calls:
                known.resolved = known.resolved or moment
            elif known.resolved is not None:
                # It asks for this one again.
                known.resolved, known.is_submitted = None, False
        for call_id, call in calls.items():
            if call_id not in self.calls:
                self.calls[call_id] = WaitedCall(call, moment)

    def submit(self, call_ids: Iterable[str], moment: int) -> None:
        """Applies that the service had accepted our own outputs of calls at a moment."""
        for call_id in map(key_text, call_ids):
            call = self.calls.get(call_id)
            if call is not None and call.resolved is None:
                call.resolved, call.is_submitted = Moment(until=moment), True


def _without_looks(moment: Moment | None) -> Moment | None:
    return None if moment is None else moment._replace(after=-inf, until=inf)


def estimate_bytes(calls: Iterable[ToolCall]) -> int:
    """Returns roughly how much memory calls take."""
    return sum(_CALL_BYTES + len(it.arguments or "") for it in calls)


def stored_calls(calls: Iterable[ToolCall]) -> dict[str, ToolCall]:
    """Returns calls by their ids as the table has them; one without an id if there are none."""
    found = {key_text(it.id): it for it in calls} or {"": UNSEEN}
    return {
        call_id: call if call.id == call_id else call.model_copy(update={"id": call_id})
        for call_id, call in found.items()
    }
