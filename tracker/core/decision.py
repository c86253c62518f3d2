"""The events that a snapshot adds to a run, while they are decided upon."""

from __future__ import annotations

from datetime import datetime

from tracker.core import events as e
from tracker.core.snapshot import RunSnapshot
from tracker.core.state import UNKNOWN_VERSION, Marker, RunState, evolve, later_of
from tracker.core.status import QUEUED


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
        # Lower and upper bound of what the snapshot shows for the first time.
        self.not_before = _find_not_before(state, snapshot, is_outdated=self.is_outdated)
        self.not_after = snapshot.not_after
        if snapshot.observed_at < self.observed_at:
            self.not_after = min(snapshot.observed_at, snapshot.not_after or snapshot.observed_at)
        self.state = state

    def add(self, event: e.Event) -> None:
        self.events.append(event)
        self.state = evolve(self.state, event)

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


def _find_not_before(
    state: RunState, snapshot: RunSnapshot, *, is_outdated: bool
) -> datetime | None:
    """Returns the last moment at which the run is known not to have been as the snapshot shows."""
    if state.status is None:
        return snapshot.created_at
    if snapshot.asked_at is not None and snapshot.unchanged_until is not None:
        return snapshot.unchanged_until
    if snapshot.asked_at is None or is_outdated:
        # The time of our last observation says nothing about a document that may be older.
        return state.started_at or state.created_at
    return state.observed_at
