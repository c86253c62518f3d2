"""Reads the steps of runs: once a run has ended, or each time that its status changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Literal

from tracker.core.events import Event, run_stream
from tracker.core.other_decisions import decide_steps, is_stale_step_list
from tracker.core.snapshot import StepSnapshot
from tracker.core.state import RunState
from tracker.core.status import QUEUED, REQUIRES_ACTION, is_ended
from tracker.errors import (
    KeyRefused,
    Misconfigured,
    RunfoldError,
    Unreachable,
)
from tracker.polling.dispatcher import SourceDispatcher
from tracker.polling.error_policy import ErrorPolicy
from tracker.polling.queues.background_queue import BackgroundQueue
from tracker.polling.queues.background_requests import StepsRequest
from tracker.polling.watch_list import WatchList
from tracker.polling.watched_run import WatchedRun
from tracker.recording.group_commit import GroupCommit
from tracker.recording.observation import Observation
from tracker.runtime.clock import Clock
from tracker.runtime.log_fields import of_run, of_source
from tracker.sources.source import Source, StepSource

logger = logging.getLogger("runfold.steps")

When = Literal["ended", "live", "never"]

# A list from before the end is asked for again, soon and then later, and then taken as it is.
OLD_LISTS, OLD_LIST_SECONDS = 2, 0.5
# A run that truly has no steps is asked about at each start: not for ever.
STEPS_WITHIN = timedelta(hours=24)
# Of up to a hundred steps each.
MOST_PAGES = 20
# Where more runs end than may be asked about, for hours: the next start has those of a day.
MOST_WAITING = 50_000
_QUICK_START = timedelta(seconds=4)


class StepReader:
    """Asks for the steps of runs, behind the polls that are due, and records those that ended."""

    def __init__(
        self,
        when: When,
        roster: WatchList,
        batching: GroupCommit,
        clock: Clock,
        failures: ErrorPolicy,
    ) -> None:
        self._when = when
        self._roster = roster
        self._batching = batching
        self._clock = clock
        self._failures = failures
        self._is_full = False
        self._changed = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many runs have steps to be read; those of a source that denies them do not count."""
        now = self._clock.monotonic()
        return sum(
            len(errands)
            for gate in self._roster.gates
            for errands in (gate.pauses, gate.steps)
            if errands.held_until <= now
        )

    async def drain(self, timeout: float) -> bool:
        """Returns once nothing is waiting, or after so many seconds; whether nothing is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                # What was observed just before is on its way here.
                await asyncio.sleep(0)
                while self.waiting:
                    self._changed.clear()
                    await self._changed.wait()
        return not self.waiting

    def learned(self, watched: WatchedRun, before: str | None) -> None:
        """Takes in that a run was looked at, whose status was `before`."""
        state = watched.state
        if state.status != before and (
            state.is_ended or (self._when == "live" and state.status != QUEUED)
        ):
            hides_pause = may_hide_a_pause(state)
            self.want(watched.source, watched.thread_id, watched.run_id, hides_pause=hides_pause)

    def found(self, source: Source, thread_id: str, state: RunState) -> None:
        """Takes in that a run was found which has ended before it was ever watched."""
        now = self._clock.now()
        if now - (state.ended_at or now) < STEPS_WITHIN:
            self.want(source, thread_id, state.run_id, hides_pause=may_hide_a_pause(state))

    def want(
        self, source: Source, thread_id: str, run_id: str, *, hides_pause: bool = False
    ) -> None:
        """Has the steps of a run read as soon as no poll is due, if its source has any.

        Those that may tell of a pause that nobody saw come first.
        """
        if self._when == "never" or not isinstance(source, StepSource):
            return
        gate, now = self._roster.gate(source), self._clock.monotonic()
        errand = gate.pauses.find(run_id) or gate.steps.find(run_id)
        errands = _errands(gate, errand.hides_pause if errand else hides_pause)
        if errand is None:
            if len(errands) >= MOST_WAITING:
                if not self._is_full:
                    logger.warning(
                        "%s: too many runs end for all steps to be read",
                        source.name,
                        extra=of_source(source.name),
                    )
                self._is_full = True
                return
            errand = StepsRequest(
                source, run_id, thread_id=thread_id, run_id=run_id, hides_pause=hides_pause
            )
        elif not errand.waits:
            errand.again = True
            return
        errand.begin()
        errands.add(errand, now)

    async def read(self, errand: StepsRequest, gate: SourceDispatcher) -> None:
        """Asks for the next page of a run's steps; records them all once the last has come."""
        source = errand.source
        assert isinstance(source, StepSource)
        try:
            answer, entries, after = await source.fetch_steps(
                errand.thread_id, errand.run_id, errand.after
            )
            self._roster.heed(gate, answer)
            errand.seen.extend(read_steps(source, _stream(errand), entries))
            errand.pages += 1
            if after is not None and after != errand.after and errand.pages < MOST_PAGES:
                errand.after = after
                _errands(gate, errand.hides_pause).add(errand, self._clock.monotonic())
                return
            if await self._record(errand, answer.observed_at):
                self._done(errand, gate)
            else:
                errand.old += 1
                errand.kept |= {it.step_id: it for it in errand.seen if is_ended(it.status)}
                errand.begin()
                pause = OLD_LIST_SECONDS * errand.old
                _errands(gate, errand.hides_pause).add(errand, self._clock.monotonic() + pause)
        except RunfoldError as error:
            self._failed(errand, gate, error)
        except Exception as error:
            stream = _stream(errand)
            logger.exception("%s: the source failed", stream, extra=of_run(stream))
            self._failed(errand, gate, Unreachable(f"{type(error).__name__}: {error}"))
        finally:
            self._changed.set()

    async def _record(self, errand: StepsRequest, observed_at: datetime) -> bool:
        """Records what was seen, unless it is an old list that is to be asked for again."""
        seen = list(({it.step_id: it for it in errand.seen} | errand.kept).values())
        is_last = errand.old >= OLD_LISTS or errand.pages >= MOST_PAGES

        def decided(state: RunState) -> list[Event]:
            if is_stale_step_list(state, seen) and not is_last:
                return []
            return decide_steps(state, seen, observed_at)

        observed = await self._batching.record(Observation(_stream(errand), decided))
        return is_last or not is_stale_step_list(observed.state, seen)

    def _done(self, errand: StepsRequest, gate: SourceDispatcher) -> None:
        errand.failures = errand.old = 0
        errands = _errands(gate, errand.hides_pause)
        if errand.again:
            errand.begin()
            errands.add(errand, self._clock.monotonic())
        else:
            errands.drop(errand)
            self._is_full = False

    def _failed(self, errand: StepsRequest, gate: SourceDispatcher, error: RunfoldError) -> None:
        errand.begin()
        goes_again = self._failures.of_try(errand, gate, _errands(gate, errand.hides_pause), error)
        if isinstance(error, (KeyRefused, Misconfigured)):
            name = errand.source.name
            logger.warning(
                "%s: no steps asked for, for a minute: %s", name, error, extra=of_source(name)
            )
        if not goes_again:
            stream = _stream(errand)
            logger.info("%s: its steps are not read: %s", stream, error, extra=of_run(stream))


def may_hide_a_pause(state: RunState) -> bool:
    """Whether a run may have waited for an action while nobody looked."""
    paused = [trace for trace in state.past if trace[:2] == ("place", REQUIRES_ACTION)]
    if any(len(trace) == len(("place", "status", "start")) for trace in paused):
        # Only one that was inferred is without calls.
        return True
    if paused or state.created_at is None or state.started_at is None:
        return False
    # `started_at` is overwritten by the start after a pause.
    return state.started_at - state.created_at > _QUICK_START


def _errands(gate: SourceDispatcher, hides_pause: bool) -> BackgroundQueue[Any]:
    return gate.pauses if hides_pause else gate.steps


def _stream(errand: StepsRequest) -> str:
    return run_stream(errand.source.name, errand.run_id)


def read_steps(
    source: StepSource, stream: str, entries: Iterable[Mapping[str, Any]]
) -> list[StepSnapshot]:
    """The entries as snapshots; one that is no step is passed over."""
    steps = []
    for entry in entries:
        try:
            steps.append(source.steps_snapshot(entry))
        except RunfoldError as error:
            logger.warning(
                "%s: a step of it cannot be recorded: %s", stream, error, extra=of_run(stream)
            )
    return steps
