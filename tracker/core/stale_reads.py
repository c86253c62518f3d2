"""Looks that would take a run back to where it has been: doubted until others agree. Pure.

A replica that lags or a cache shows what a run was before, and a run that goes on after an
action under its old `started_at` looks the same. Old answers seldom come thrice in a row.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from tracker.core.snapshot import RunSnapshot
from tracker.core.state import RunState, Trace, current_place, place
from tracker.core.status import is_ended

BELIEVED_LOOKS = 3


class StaleRead(NamedTuple):
    """How many looks in a row took a run back to one place, and when the first was observed."""

    place: Trace
    since: datetime
    looks: int = 1

    @property
    def is_over(self) -> bool:
        """Whether enough looks agree."""
        return self.looks >= BELIEVED_LOOKS


def detect_stale_read(
    state: RunState, snapshot: RunSnapshot, doubt: StaleRead | None
) -> StaleRead | None:
    """The doubt about a fresh look, after that about the looks before it; None where there is none.

    A run whose calls our own client answered is expected to go on, and one whose start moved does.
    """
    if state.is_ended or is_ended(snapshot.status) or snapshot.started_at != state.started_at:
        return None
    there = place(snapshot.status, snapshot.started_at, snapshot.tool_calls)
    # Of a wait that was inferred, nobody knows the calls.
    unseen = place(snapshot.status, snapshot.started_at, ())
    if there == current_place(state) or state.past.isdisjoint((there, unseen)):
        return None
    if ("submitted", *(call.id for call in state.tool_calls)) in state.past:
        return None
    if doubt is None or doubt.place != there:
        return StaleRead(there, snapshot.observed_at)
    return doubt._replace(looks=doubt.looks + 1)
