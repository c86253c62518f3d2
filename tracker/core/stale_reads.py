"""Detection of stale reads: snapshots that show an earlier state of a run.

A lagging replica or a cache shows an earlier state, and a run that continues after an action under
its old `started_at` looks the same. Stale reads seldom repeat, so a run that really went back is
recorded once enough reads in a row agree.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from tracker.core.snapshot import RunSnapshot
from tracker.core.state import (
    Marker,
    RunState,
    current_progress,
    progress_marker,
    submission_marker,
)
from tracker.core.status import is_ended

CONFIRMING_READS = 3


class StaleRead(NamedTuple):
    """A possibly stale read, and the reads in a row that agreed with it."""

    # The earlier position of the run that the reads show.
    progress: Marker
    # When the first of them was observed.
    since: datetime
    reads: int = 1

    @property
    def is_confirmed(self) -> bool:
        """True if enough reads agree: the run really went back."""
        return self.reads >= CONFIRMING_READS


def detect_stale_read(
    state: RunState, snapshot: RunSnapshot, previous: StaleRead | None
) -> StaleRead | None:
    """Returns a StaleRead if a fresh snapshot takes the run back to an earlier state, else None.

    `previous` is the result for the read before. A run whose tool outputs our own client submitted
    is expected to continue, and one whose `started_at` changed has done so.
    """
    if state.is_ended or is_ended(snapshot.status) or snapshot.started_at != state.started_at:
        return None
    shown = progress_marker(snapshot.status, snapshot.started_at, snapshot.tool_calls)
    # The calls of a wait that was inferred are not known.
    without_calls = progress_marker(snapshot.status, snapshot.started_at, ())
    if shown == current_progress(state) or state.past.isdisjoint((shown, without_calls)):
        return None
    if submission_marker(call.id for call in state.tool_calls) in state.past:
        return None
    if previous is None or previous.progress != shown:
        return StaleRead(shown, snapshot.observed_at)
    return previous._replace(reads=previous.reads + 1)
