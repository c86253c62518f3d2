"""Fetch, decide, append: watches a set of runs until each has ended."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine

from tracker.core.events import RunEnded, RunUsageReported, run_stream
from tracker.core.other_decisions import decide_disappearance
from tracker.core.state import RunState, initial_state
from tracker.errors import RunfoldError
from tracker.polling.dispatcher import SourceDispatcher, standing
from tracker.polling.error_policy import ErrorPolicy
from tracker.polling.overdue import OverdueAudit
from tracker.polling.policy.cadence import Cadence
from tracker.polling.queues.background_queue import BackgroundQueue, E
from tracker.polling.requests.backfill_pages import BackfillRequests
from tracker.polling.requests.discovery import Discovery
from tracker.polling.requests.late_usage import LateUsage
from tracker.polling.requests.run_polls import RunPolls
from tracker.polling.requests.step_reads import StepReader, When
from tracker.polling.source_status import SourceStatus
from tracker.polling.watch_list import FIRST_POLL_SECONDS, WatchList
from tracker.polling.watched_run import WatchedRun
from tracker.recording.group_commit import GroupCommit
from tracker.recording.observation import Observation, RecordResult
from tracker.runtime.clock import Clock
from tracker.runtime.log_fields import of_run
from tracker.sources.source import Source

logger = logging.getLogger("runfold.polling")


class Poller:
    """Polls each watched run when it is due, `concurrency` requests at a time and source.

    `tick` starts what is due; whoever holds the poller calls it several times a second.
    `ceiling` is what a source is asked at most, in requests a second. `jitter` gives numbers
    from 0 to 1. `steps` says when those of a run are asked for, behind the polls that are due.
    """

    def __init__(
        self,
        batching: GroupCommit,
        clock: Clock,
        *,
        cadence: Cadence | None = None,
        concurrency: int = 32,
        ceiling: float | None = None,
        jitter: Callable[[], float] = random.random,
        steps: When = "ended",
    ) -> None:
        self._batching = batching
        self._clock = clock
        self._concurrency = concurrency
        self._roster = WatchList(clock, cadence or Cadence(), ceiling, jitter)
        self.divide = self._roster.divide  # where others poll too
        self._failures = ErrorPolicy(self._roster, clock, jitter, self._vanish)
        self.steps = StepReader(steps, self._roster, batching, clock, self._failures)
        self.late = LateUsage(self._roster, batching, clock, self._failures, self.observed)
        self._looking = RunPolls(
            self._roster, batching, clock, self._failures, self.steps, self.late, notice=self.notice
        )
        self.discovery = Discovery(
            self._roster,
            batching,
            clock,
            self._failures,
            found=self._found,
            ended=self.ended,
        )
        self.backfill = BackfillRequests(self._roster, clock, self._failures)
        self.overdue = OverdueAudit(self._roster)
        self._is_closed = False
        self._polls: set[asyncio.Task[None]] = set()

    @property
    def watched(self) -> list[WatchedRun]:
        """The runs that are being watched now."""
        return self._roster.all

    def find(self, stream: str) -> WatchedRun | None:
        """The watched run of a stream, if it is watched."""
        return self._roster.find(stream)

    def standing(self, source: Source) -> SourceStatus:
        """How a source stands now."""
        return standing(self._roster.gate(source), self._clock.monotonic())

    def watch(
        self,
        source: Source,
        thread_id: str,
        run_id: str,
        *,
        state: RunState = initial_state,
        after: float = 0.0,
    ) -> WatchedRun:
        """Watches a run from `after` seconds on; a run that is watched already stays as it is."""
        stream = run_stream(source.name, run_id)
        if (known := self._roster.find(stream)) is not None:
            return known
        watched = WatchedRun(source, thread_id, run_id, stream, state)
        self._roster.add(watched, after)
        return watched

    def hasten(self, watched: WatchedRun) -> None:
        """Has a run looked at next, in the rate of its source, as there is news of it."""
        self._roster.hasten(watched)

    def notice(self, stream: str, state: RunState) -> None:
        """Takes in what another way than a poll has shown of a run."""
        watched = self._roster.find(stream)
        if watched is None:
            return
        # The next poll may show again what it showed before this.
        watched.body = watched.glance = watched.entry = watched.unchanged_until = None
        watched.doubt = None
        moved = state.status != watched.state.status
        self._looking.learn(watched, state)
        if moved and (watched.in_line or watched.slot is not None):
            self._roster.plan(watched)

    def observed(self, source: Source, stream: str, seen: RecordResult) -> None:
        """Takes in what was recorded otherwise than by a poll, of a run that is watched or not."""
        if self._roster.find(stream) is not None:
            self.notice(stream, seen.state)
            return
        state = seen.state
        ended = any(isinstance(event, RunEnded) for event in seen.events)
        corrected = any(isinstance(event, RunUsageReported) for event in seen.events)
        # Whose thread it is hears of an end too; of a correction, nobody else takes notice.
        if corrected or (ended and self._roster.owns(source, state)):
            self.ended(source, state.thread_id or "", state)

    def ended(self, source: Source, thread_id: str, state: RunState) -> None:
        """Takes in that a run has ended which is not watched."""
        if thread_id:
            self.steps.found(source, thread_id, state)
        self.late.ended(source, thread_id, state)

    async def tick(self) -> None:
        """Starts the polls that are due and may be asked, the longest due first."""
        now = self._clock.monotonic()
        for gate in [] if self._is_closed else self._roster.gates:
            gate.turn(now)
            if gate.lines:
                # What they claim while polls could spend it all.
                self._go_on_errands(gate)
                self._start_errands(gate, gate.discovery, self.discovery.look)
            for watched, together in gate.turns(now, self._concurrency - gate.asking):
                self._ask(self._looking.poll(watched, gate, together), gate)
            self._go_on_errands(gate)

    async def discover(self) -> None:
        """Starts looking at the threads that are due, where no poll is."""
        for gate in [] if self._is_closed else self._roster.gates:
            self._start_errands(gate, gate.discovery, self.discovery.look)

    async def settle(self) -> None:
        """Returns once the polls that are under way have come to something."""
        await asyncio.gather(*self._polls, return_exceptions=True)

    async def close(self) -> None:
        """Stops polling; an answer that is being recorded is recorded."""
        self._is_closed = True
        self.backfill.close()
        for poll in self._polls:
            poll.cancel()
        await self.settle()
        self._roster.clear()
        await self._batching.drain()

    def _go_on_errands(self, gate: SourceDispatcher) -> None:
        self._start_errands(gate, gate.pauses, self.steps.read)
        self._start_errands(gate, gate.steps, self.steps.read)
        self._start_errands(gate, gate.backfill, self.backfill.go)
        self._start_errands(gate, gate.late, self.late.look)

    def _start_errands(
        self,
        gate: SourceDispatcher,
        errands: BackgroundQueue[E],
        go: Callable[[E, SourceDispatcher], Coroutine[None, None, None]],
    ) -> None:
        now = self._clock.monotonic()
        while gate.asking < self._concurrency:
            errand = gate.next_errand(errands, now)
            if errand is None:
                break
            self._ask(go(errand, gate), gate)

    def _found(self, source: Source, thread_id: str, state: RunState) -> None:
        self.watch(source, thread_id, state.run_id, state=state, after=FIRST_POLL_SECONDS)

    def _vanish(self, watched: WatchedRun) -> None:
        at = self._clock.now()
        vanished = Observation(watched.stream, lambda state: decide_disappearance(state, at))
        self._start(self._record_quietly(vanished))

    async def _record_quietly(self, entry: Observation) -> None:
        try:
            await self._batching.record(entry)
        except RunfoldError as error:
            logger.warning("%s: not recorded: %s", entry.stream, error, extra=of_run(entry.stream))

    def _ask(self, work: Coroutine[None, None, None], gate: SourceDispatcher) -> None:
        def asked(_: asyncio.Task[None]) -> None:
            gate.asking -= 1

        gate.asking += 1
        self._start(work).add_done_callback(asked)

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._polls.add(task)
        task.add_done_callback(self._polls.discard)
        return task
