"""The events that a snapshot adds to a run, while they are decided upon."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tracker.core import events as e
from tracker.core.snapshot import UNTOLD, RunSnapshot
from tracker.core.state import (
    UNKNOWN_VERSION,
    Marker,
    RunState,
    evolve,
    later_of,
    submission_marker,
)
from tracker.core.status import CANCELLED, CANCELLING, QUEUED, is_ended

_MICROSECOND = timedelta(microseconds=1)


class Decision:
    """The events that a snapshot adds so far; each is applied to the state at once.

    `known` is the version of the run that was known when the snapshot was asked for, or came.
    """

    def __init__(self, state: RunState, snapshot: RunSnapshot, known: int | None = None) -> None:
        self.snapshot = snapshot
        self.events: list[e.Event] = []
        # True if the snapshot shows the run as it was after all that is known of it.
        self.is_fresh = _is_fresh(state, snapshot, known)
        # True if what is known of the run was, or may have been, seen after the snapshot.
        self.is_outdated = not self.is_fresh and _is_outdated(state, snapshot, known)
        self.observed_at = later_of(state, snapshot.observed_at)
        # When the answer was asked for at the earliest, for the events.
        self.asked_at = _find_asking(snapshot)
        self.look = self._describe_look()
        # Lower and upper bound of what the snapshot shows for the first time.
        self.not_before = _find_not_before(state, snapshot, self.asked_at, is_fresh=self.is_fresh)
        self.not_after = snapshot.not_after
        if snapshot.observed_at < self.observed_at:
            self.not_after = min(snapshot.observed_at, snapshot.not_after or snapshot.observed_at)
        self.state = state

    def _describe_look(self) -> dict[str, Any]:
        """Returns the fields that all events of this look have."""
        fields: dict[str, Any] = {"observed_at": self.observed_at}
        if self.asked_at is not None:
            fields["asked_at"] = (self.observed_at - self.asked_at) // _MICROSECOND
        if self.snapshot.clock_was_set:
            fields["clock_was_set"] = True
        return fields

    def add(self, event: e.Event) -> None:
        self.events.append(event)
        self.state = evolve(self.state, event)

    def not_before_of(self, status: str) -> datetime | None:
        """Returns the last moment at which the run is known not to have come to a status yet.

        For a change that our own call caused, that is when the call was sent.
        """
        snapshot, state = self.snapshot, self.state
        if snapshot.call == "submit":
            submitted = submission_marker(call.id for call in state.tool_calls)
            is_caused = state.needs_action and (not state.tool_calls or submitted in state.past)
        else:
            is_caused = snapshot.call == "cancel" and status in (CANCELLING, CANCELLED)
            is_caused = is_caused and state.status != CANCELLING
        if not is_caused or self.asked_at is None:
            return self.not_before
        return self.asked_at if self.not_before is None else max(self.not_before, self.asked_at)

    def is_correction(self, marker: Marker) -> bool:
        """True if a value that differs from the known one is newer than that.

        Of a document of unknown age that is so if the run never had the value before.
        """
        if self.is_fresh:
            return True
        return not self.is_outdated and marker not in self.state.past

    @property
    def status(self) -> str:
        return self.state.status or QUEUED


def _is_fresh(state: RunState, snapshot: RunSnapshot, known: int | None) -> bool:
    if snapshot.asked_at is None or state.observed_at is None:
        return False
    if known is None:
        # Only where the versions are not known: the times may be by several clocks.
        return snapshot.asked_at > state.observed_at
    return known == state.version


def _is_outdated(state: RunState, snapshot: RunSnapshot, known: int | None) -> bool:
    if known is not None:
        return snapshot.asked_at is not None and known not in (state.version, UNKNOWN_VERSION)
    return state.observed_at is not None and snapshot.observed_at < state.observed_at


def _find_asking(snapshot: RunSnapshot) -> datetime | None:
    """Returns when an answer was asked for at the earliest; None if nobody knows."""
    asked_at = snapshot.asked_since or snapshot.asked_at
    return None if asked_at == UNTOLD else asked_at


def _find_not_before(
    state: RunState, snapshot: RunSnapshot, asked_at: datetime | None, *, is_fresh: bool
) -> datetime | None:
    """Returns the last moment at which the run is known not to have been as the snapshot shows.

    By our clock alone: the last look without the news was asked for then.
    """
    if state.status is None:
        return asked_at if snapshot.call == "create" else None
    told = snapshot.unchanged_until
    # A document may show an open state from before the last look, but no end. A time by our clock
    # as it was before it was set is none.
    is_floor = (is_fresh or is_ended(snapshot.status)) and not snapshot.clock_was_set
    floor = state.asked_at if is_floor else None
    moments = [it for it in (told, floor) if it is not None and it < snapshot.observed_at]
    return max(moments, default=None)
