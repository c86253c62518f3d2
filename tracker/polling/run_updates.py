"""Applies newly known states of runs to the watch list and to the background queues."""

from __future__ import annotations

import logging
import math
from datetime import timedelta
from typing import Literal

from tracker.core.events import RunEnded, RunUsageReported, run_stream
from tracker.core.other_decisions import decide_disappearance
from tracker.core.state import RunState
from tracker.core.status import QUEUED, REQUIRES_ACTION
from tracker.errors import RunfoldError
from tracker.polling.queues.background_requests import StepsRequest, UsageRecheck
from tracker.polling.watch_list import FIRST_POLL_SECONDS, WatchList
from tracker.polling.watched_run import WatchedRun
from tracker.recording.group_commit import GroupCommit
from tracker.recording.observation import Observation, RecordResult
from tracker.runtime.clock import Clock
from tracker.runtime.log_fields import of_run, of_source
from tracker.sources.source import SettlingSource, Source, StepSource

logger = logging.getLogger("runfold.polling")
steps_logger = logging.getLogger("runfold.steps")

StepsWhen = Literal["ended", "live", "never"]

# Without this limit, a run that has no steps would be asked about at each start.
STEPS_WITHIN = timedelta(hours=24)
# After a restart, the re-checks that a source wants later than this after an end are omitted.
RECHECKS_WITHIN = timedelta(hours=1)
# Reached only if more runs end than may be asked about, for hours: the next start reads the steps
# of the last day.
MAX_STEPS_REQUESTS = 50_000
# Each keeps the last answer about its run, if it is short, for about ten minutes.
MAX_USAGE_RECHECKS = 10_000
# Requests that the service denies, or fails at, are tried for a day.
_TRIED_SECONDS = 86_400.0
_QUICK_START = timedelta(seconds=4)


class RunUpdates:
    """Applies a newly known state of a run to the watch list and to the background queues.

    It decides which runs get their steps read and which get usage re-checks, and queues the
    requests for both. `steps` says when steps are read: once a run has ended, or each time its
    status changes (`"live"`), or never.
    """

    def __init__(
        self, watch_list: WatchList, commits: GroupCommit, clock: Clock, steps: StepsWhen = "ended"
    ) -> None:
        self._watch_list = watch_list
        self._commits = commits
        self._clock = clock
        self._steps = steps
        self._is_full = False

    def on_poll(self, watched: WatchedRun, state: RunState) -> None:
        """Applies the state that a poll of a watched run has shown."""
        before, is_ours = watched.state.status, watched.is_ours
        self._watch_list.apply_state(watched, state)
        # Another tracker that polls the run reads its steps and re-checks its usage.
        if not is_ours or state.status == before:
            return
        if state.is_ended or (self._steps == "live" and state.status != QUEUED):
            hides_pause = may_hide_pause(state)
            self.queue_steps(
                watched.source, watched.thread_id, watched.run_id, hides_pause=hides_pause
            )
        if state.is_ended:
            self._queue_recheck(
                watched.source, watched.thread_id, state, watched.body, watched.held_until
            )

    def on_state(self, stream: str, state: RunState) -> None:
        """Applies a state that became known otherwise than by a poll, if the run is watched."""
        watched = self._watch_list.find(stream)
        if watched is None:
            return
        # The next poll may show again what the last one showed.
        watched.forget_answer()
        watched.stale_read = None
        is_changed = state.status != watched.state.status
        self.on_poll(watched, state)
        if is_changed and (watched.queued or watched.timer_slot is not None):
            self._watch_list.schedule_next(watched)

    def on_recorded(self, source: Source, result: RecordResult) -> None:
        """Applies an observation that was recorded otherwise than by a poll."""
        stream, state, events = result.stream, result.state, result.events
        if self._watch_list.find(stream) is not None:
            self.on_state(stream, state)
            return
        is_ended = any(isinstance(event, RunEnded) for event in events)
        is_corrected = any(isinstance(event, RunUsageReported) for event in events)
        # The tracker that polls the thread learns of an end from the store, but not of a
        # correction.
        if is_corrected or (is_ended and self._watch_list.owns(source, state)):
            self.on_ended(source, state.thread_id, state)

    def on_run_found(self, source: Source, thread_id: str, state: RunState) -> None:
        """Watches a run that a page of its thread has shown."""
        self._watch_list.watch(
            source, thread_id, state.run_id, state=state, after=FIRST_POLL_SECONDS
        )

    def on_ended(self, source: Source, thread_id: str | None, state: RunState) -> None:
        """Applies that a run has ended which is not watched."""
        now = self._clock.now()
        if thread_id and now - (state.ended_at or now) < STEPS_WITHIN:
            self.queue_steps(source, thread_id, state.run_id, hides_pause=may_hide_pause(state))
        self._queue_recheck(source, thread_id, state)

    def on_missing(self, watched: WatchedRun) -> None:
        """Records that the service does not know a run any more."""
        at, known = self._clock.now(), watched.state.version
        vanished = Observation(watched.stream, lambda state: decide_disappearance(state, at, known))
        self._commits.start(self._record(vanished))

    def queue_steps(
        self, source: Source, thread_id: str | None, run_id: str, *, hides_pause: bool = False
    ) -> None:
        """Queues the reading of a run's steps, if its source has any.

        Steps that may show a wait for an action which no poll saw (`hides_pause`) come first.
        """
        if self._steps == "never" or not isinstance(source, StepSource):
            return
        dispatcher = self._watch_list.dispatcher(source)
        request = dispatcher.urgent_steps.find(run_id) or dispatcher.steps.find(run_id)
        if request is not None and not request.is_waiting:
            request.read_again = True
            return
        if request is not None:
            hides_pause = request.hides_pause
        queue = dispatcher.steps_queue(hides_pause=hides_pause)
        if request is None and len(queue) >= MAX_STEPS_REQUESTS:
            self._warn_of_full_queue(source.name)
            dispatcher.given_up += 1
            return
        if request is None:
            self._is_full = False
            request = StepsRequest(source, run_id, thread_id=thread_id, hides_pause=hides_pause)
            request.until = self._clock.monotonic() + _TRIED_SECONDS
        request.restart()
        queue.add(request, self._clock.monotonic())

    def schedule_recheck(self, recheck: UsageRecheck, state: RunState) -> None:
        """Schedules the next re-check that the source wants of an ended run; drops it if none."""
        source = recheck.source
        assert isinstance(source, SettlingSource)
        queue = self._watch_list.dispatcher(source).usage_rechecks
        try:
            is_due = recheck.advance(source.usage_settles_after(state))
        except Exception as error:
            # A source may be the application's own: its fault costs its re-check, and no poll.
            is_due, stream = False, run_stream(source.name, state.run_id)
            logger.warning(
                "%s: its usage is not read again: usage_settles_after of its source raised %s: %s",
                *(stream, type(error).__name__, error),
                extra=of_run(stream),
            )
        if is_due:
            queue.add(recheck, recheck.ended + recheck.offset)
        else:
            queue.remove(recheck)

    def _queue_recheck(
        self,
        source: Source,
        thread_id: str | None,
        state: RunState,
        body: bytes | None = None,
        held_until: float = -math.inf,
    ) -> None:
        if not isinstance(source, SettlingSource):
            return
        dispatcher = self._watch_list.dispatcher(source)
        queue = dispatcher.usage_rechecks
        if queue.find(state.run_id) is not None:
            return
        if len(queue) >= MAX_USAGE_RECHECKS:
            dispatcher.given_up += 1
            return
        passed = 0.0
        if state.ended_at is not None:
            since_end = self._watch_list.service_time(source) - state.ended_at
            passed = max(since_end.total_seconds(), 0.0)
        recheck = UsageRecheck(
            source,
            state.run_id,
            thread_id=thread_id,
            ended=self._clock.monotonic() - passed,
            offset=passed,
        )
        recheck.until = self._clock.monotonic() + _TRIED_SECONDS
        recheck.held_until = held_until
        recheck.keep(body)
        self.schedule_recheck(recheck, state)

    def _warn_of_full_queue(self, name: str) -> None:
        if not self._is_full:
            steps_logger.warning(
                "%s: too many runs end for all steps to be read", name, extra=of_source(name)
            )
        self._is_full = True

    async def _record(self, observation: Observation) -> None:
        try:
            await self._commits.record(observation, patient=True)
        except RunfoldError as error:
            stream = observation.stream
            logger.warning("%s: not recorded: %s", stream, error, extra=of_run(stream))


def may_hide_pause(state: RunState) -> bool:
    """True if a run may have waited for an action between two polls."""
    paused = [trace for trace in state.past if trace[:2] == ("place", REQUIRES_ACTION)]
    if any(len(trace) == len(("place", "status", "start")) for trace in paused):
        # Only a wait that was inferred has no calls.
        return True
    if paused or state.created_at is None or state.started_at is None:
        return False
    # `started_at` is overwritten by the start after a pause.
    return state.started_at - state.created_at > _QUICK_START
