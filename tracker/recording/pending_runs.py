"""What is still to be done of runs, by their events: those that are open, and steps not read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from tracker.core.events import RunCreated, RunStepRecorded
from tracker.core.state import RunState, evolve, initial_state
from tracker.event_store.store import RecordedEvent

# So many are kept before those are looked for whose time is over.
_MANY = 1000


class Pending(NamedTuple):
    """Runs that have not come to an end, and those that did without a step recorded since."""

    open: list[RunState]
    stepless: list[RunState]


class PendingRuns:
    """Follows all events of a store: runs that are `open`, and those that ended without steps.

    `since` gives, by the name of a source, since when an end counts; None where none does. Both
    are by stream; of a run that ended only is kept who it was, its end (`ended_at`, or when that
    was seen) and its usage.
    """

    def __init__(self, since: Callable[[str], datetime | None]) -> None:
        self.open: dict[str, RunState] = {}
        self.stepless: dict[str, RunState] = {}
        self._since = since
        self._many = _MANY

    def take(self, entry: RecordedEvent) -> RunState | None:
        """The state of a run after one more event; None where it is of none, or it had ended."""
        _, stream, _, event = entry
        if isinstance(event, (RunCreated, RunStepRecorded)):
            self.stepless.pop(stream, None)
        # A history begins anew where it was forgotten.
        known = initial_state if isinstance(event, RunCreated) else self.open.get(stream)
        if known is None:
            return None
        state = self.open[stream] = evolve(known, event)
        if state.is_ended:
            del self.open[stream]
            self._keep(stream, state, state.ended_at or event.observed_at)
        return state

    @property
    def left(self) -> Pending:
        """All of it."""
        return Pending(list(self.open.values()), list(self.stepless.values()))

    def _keep(self, stream: str, state: RunState, ended_at: datetime) -> None:
        ended = RunState(
            state.source,
            state.run_id,
            state.thread_id,
            status=state.status,
            ended_at=ended_at,
            usage=state.usage,
        )
        if self._counts(ended):
            self.stepless[stream] = ended
        if len(self.stepless) > self._many:
            self.stepless = {at: it for at, it in self.stepless.items() if self._counts(it)}
            self._many = 2 * len(self.stepless) + _MANY

    def _counts(self, ended: RunState) -> bool:
        since = self._since(ended.source)
        return since is not None and ended.ended_at is not None and ended.ended_at >= since
