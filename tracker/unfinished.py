"""What is still to be done of runs, by their events: those that are open, and steps not read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container
from datetime import datetime
from typing import NamedTuple

from tracker.core.decider import evolve, initial_state
from tracker.core.events import RunCreated, RunStepRecorded
from tracker.core.state import RunState
from tracker.event_store.store import RecordedEvent


class Left(NamedTuple):
    """Runs that have not come to an end, and those that did without a step recorded since."""

    open: list[RunState]
    stepless: list[RunState]


class Unfinished:
    """Follows all events of a store: runs that are `open`, and those that ended without steps.

    Runs that ended before `since` are taken to be done with, as are those of other than these
    `sources`, where some are named. Both are by stream; of a run that ended only is kept who it
    was, when it ended (`ended_at`, or when that was seen), and its usage.
    """

    def __init__(self, since: datetime, sources: Container[str] | None = None) -> None:
        self.open: dict[str, RunState] = {}
        self.stepless: OrderedDict[str, RunState] = OrderedDict()
        self._since, self._sources = since, sources

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
            ended_at = state.ended_at or event.observed_at
            counts = self._sources is None or state.source in self._sources
            if counts and ended_at >= self._since:
                self.stepless[stream] = RunState(
                    state.source,
                    state.run_id,
                    state.thread_id,
                    ended_at=ended_at,
                    usage=state.usage,
                )
        return state

    def forget(self, since: datetime) -> None:
        """Takes runs that ended before `since` to be done with from now on."""
        self._since = since
        while self.stepless:
            stream, state = next(iter(self.stepless.items()))
            if state.ended_at is None or state.ended_at >= since:
                break
            del self.stepless[stream]

    @property
    def left(self) -> Left:
        """All of it."""
        return Left(list(self.open.values()), list(self.stepless.values()))
