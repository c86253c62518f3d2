"""Looks again at runs that have ended, where their service may tell a usage later."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from tracker.core.events import run_stream
from tracker.core.state import RunState
from tracker.errors import RunfoldError, Unreachable
from tracker.polling.dispatcher import SourceDispatcher
from tracker.polling.error_policy import ErrorPolicy
from tracker.polling.queues.background_requests import UsageRecheck
from tracker.polling.watch_list import WatchList
from tracker.polling.watched_run import WatchedRun
from tracker.recording.group_commit import GroupCommit
from tracker.recording.observation import Observation, RecordResult
from tracker.runtime.clock import Clock
from tracker.runtime.log_fields import of_run
from tracker.sources.source import SettlingSource, Source

logger = logging.getLogger("runfold.polling")

# A source that wants looks later than this after an end does without them after a restart.
LATE_WITHIN = timedelta(hours=1)
# Each keeps the last answer about its run, for ten minutes or so.
MOST_WAITING = 10_000


class LateUsage:
    """Asks about a run as often after its end as its source says, behind the polls that are due.

    `recorded` is told of the run's source, its stream and what a look added.
    """

    def __init__(
        self,
        roster: WatchList,
        batching: GroupCommit,
        clock: Clock,
        failures: ErrorPolicy,
        recorded: Callable[[Source, str, RecordResult], None],
    ) -> None:
        self._roster = roster
        self._batching = batching
        self._clock = clock
        self._failures = failures
        self._recorded = recorded

    def learned(self, watched: WatchedRun, before: str | None) -> None:
        """Takes in that a run was looked at, whose status was `before`."""
        if watched.state.is_ended and watched.state.status != before:
            self.ended(watched.source, watched.thread_id, watched.state, watched.body)

    def ended(
        self, source: Source, thread_id: str, state: RunState, body: bytes | None = None
    ) -> None:
        """Has a run that has ended looked at again, as long as its source says after that."""
        if not isinstance(source, SettlingSource):
            return
        errands = self._roster.gate(source).late
        if errands.find(state.run_id) is None and len(errands) < MOST_WAITING:
            passed = 0.0
            if state.ended_at is not None:
                passed = max((self._roster.time_at(source) - state.ended_at).total_seconds(), 0.0)
            ended = self._clock.monotonic() - passed
            errand = UsageRecheck(
                source, state.run_id, thread_id=thread_id, ended=ended, reached=passed, body=body
            )
            self._go_on(errand, state)

    async def look(self, errand: UsageRecheck, gate: SourceDispatcher) -> None:
        """Asks about a run once more, and records what its service has changed."""
        source, stream = errand.source, run_stream(errand.source.name, errand.key)
        try:
            answer = await source.fetch(errand.thread_id, errand.key, errand.body)
            self._roster.heed(gate, answer)
            errand.body = answer.body
            snapshot = source.snapshot(
                answer.body, observed_at=answer.observed_at, asked_at=answer.asked_at
            )
            observed = await self._batching.record(Observation.of(snapshot))
        except RunfoldError as error:
            self._failed(errand, gate, error)
        except Exception as error:
            logger.exception("%s: the source failed", stream, extra=of_run(stream))
            self._failed(errand, gate, Unreachable(f"{type(error).__name__}: {error}"))
        else:
            errand.failures = 0
            self._recorded(source, stream, observed)
            self._go_on(errand, observed.state)

    def _go_on(self, errand: UsageRecheck, state: RunState) -> None:
        source = errand.source
        assert isinstance(source, SettlingSource)
        errands = self._roster.gate(source).late
        later = [it for it in source.usage_settles_after(state) if it > errand.reached]
        if later:
            errand.reached = min(later)
            errands.add(errand, errand.ended + errand.reached)
        else:
            errands.drop(errand)

    def _failed(self, errand: UsageRecheck, gate: SourceDispatcher, error: RunfoldError) -> None:
        if not self._failures.of_try(errand, gate, gate.late, error):
            stream = run_stream(errand.source.name, errand.key)
            logger.info("%s: not looked at again: %s", stream, error, extra=of_run(stream))
