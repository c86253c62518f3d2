"""Pending work per the events: open runs, and ended runs without steps."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from tracker.core.events import RunCreated, RunStepRecorded, Unreadable, is_run_stream
from tracker.core.state import RunState, evolve, initial_state
from tracker.event_store.store import RecordedEvent
from tracker.runtime.log_fields import of_run

logger = logging.getLogger("runfold")

# Ended runs that are kept before the expired ones are looked for.
_PRUNE_ABOVE = 1000
# Runs that are named once; of more than these, some are named again.
_NAMED_RUNS = 10_000


class Pending(NamedTuple):
    """Runs that have not ended, and runs that have ended without a step recorded since."""

    open: list[RunState]
    without_steps: list[RunState]


class PendingRuns:
    """Follows all events of a store, and keeps the pending runs by stream.

    `since` returns, by the name of a source, the time from which on an end counts; None if none
    does. The state of an ended run has only its identity, its end (`ended_at`, or the time at
    which it was observed) and its usage.
    """

    def __init__(self, since: Callable[[str], datetime | None]) -> None:
        self.open: dict[str, RunState] = {}
        self.without_steps: dict[str, RunState] = {}
        self._since = since
        self._prune_above = _PRUNE_ABOVE
        self._named: set[str] = set()

    def apply(self, entry: RecordedEvent) -> RunState | None:
        """Applies one more event. Returns the run's state; None if no open run has the event.

        A run with an event that cannot be read or applied is left out, and named in the log.
        """
        _, stream, _, event = entry
        if isinstance(event, Unreadable):
            self._leave_out(entry, event.reason)
            return None
        if isinstance(event, (RunCreated, RunStepRecorded)):
            self.without_steps.pop(stream, None)
        # A history starts again where it was forgotten.
        known = initial_state if isinstance(event, RunCreated) else self.open.get(stream)
        if known is None:
            return None
        try:
            state = evolve(known, event)
        except Exception as error:
            # One history must not keep the other runs from being resumed.
            self._leave_out(entry, f"{type(error).__name__}: {error}")
            return None
        self.open[stream] = state
        if state.is_ended:
            del self.open[stream]
            self._keep(stream, state, state.ended_at or event.observed_at)
        return state

    @property
    def pending(self) -> Pending:
        """All pending runs."""
        return Pending(list(self.open.values()), list(self.without_steps.values()))

    def _leave_out(self, entry: RecordedEvent, reason: str) -> None:
        stream = entry.stream
        self.open.pop(stream, None)
        self.without_steps.pop(stream, None)
        if stream in self._named or not is_run_stream(stream):
            return
        if len(self._named) >= _NAMED_RUNS:
            self._named.clear()
        self._named.add(stream)
        logger.warning(
            "%s: not resumed, since its version %d (position %d) cannot be read: %s",
            stream,
            entry.version,
            entry.position,
            reason,
            extra=of_run(stream),
        )

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
            self.without_steps[stream] = ended
        if len(self.without_steps) > self._prune_above:
            kept = {key: state for key, state in self.without_steps.items() if self._counts(state)}
            self.without_steps = kept
            self._prune_above = 2 * len(kept) + _PRUNE_ABOVE

    def _counts(self, ended: RunState) -> bool:
        since = self._since(ended.source)
        return since is not None and ended.ended_at is not None and ended.ended_at >= since
