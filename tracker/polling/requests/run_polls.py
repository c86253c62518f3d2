"""Looks at runs, alone or on a page of their thread, and takes in what the answers show."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tracker.core.stale_reads import detect_stale_read
from tracker.core.state import RunState
from tracker.errors import (
    Misconfigured,
    NotFound,
    RequestRefused,
    RunfoldError,
    Unreachable,
    UnusableAnswer,
)
from tracker.polling.dispatcher import SourceDispatcher
from tracker.polling.error_policy import ErrorPolicy
from tracker.polling.requests.late_usage import LateUsage
from tracker.polling.requests.step_reads import StepReader
from tracker.polling.watch_list import WatchList
from tracker.polling.watched_run import WatchedRun
from tracker.recording.group_commit import GroupCommit
from tracker.runtime.clock import Clock
from tracker.runtime.log_fields import of_run
from tracker.sources.answer import Answer
from tracker.sources.source import PageSource

logger = logging.getLogger("runfold.polling")

PAGE_LIMIT = 100
# After a look that is doubted, and twice that after the next.
DOUBT_SECONDS = 0.4
# Runs that may begin before the next page without hiding the oldest from it.
PAGE_SPARE = 5


class RunPolls:
    """Asks about runs that are due; what fails is for `failures`, what ends for `steps` and `late`.

    `notice` is told of what a look shows of another run.
    """

    def __init__(
        self,
        roster: WatchList,
        batching: GroupCommit,
        clock: Clock,
        failures: ErrorPolicy,
        steps: StepReader,
        late: LateUsage,
        *,
        notice: Callable[[str, RunState], None],
    ) -> None:
        self._roster = roster
        self._batching = batching
        self._clock = clock
        self._failures = failures
        self._steps = steps
        self._late = late
        self._notice = notice

    async def poll(
        self, watched: WatchedRun, gate: SourceDispatcher, together: Sequence[WatchedRun]
    ) -> None:
        """Asks about a run, or about it `together` with others of its thread."""
        try:
            if together and isinstance(watched.source, PageSource):
                await self._ask_page(watched.source, gate, together)
            else:
                await self._ask(watched, gate)
        except RunfoldError as error:
            self._failures.of_look(watched, gate, error)
            self._go_with(watched, together)
        except Exception as error:
            # A source of somebody else's may raise anything; its run is not to be lost for it.
            logger.exception("%s: the source failed", watched.stream, extra=of_run(watched.stream))
            self._failures.of_look(watched, gate, Unreachable(f"{type(error).__name__}: {error}"))
            self._go_with(watched, together)

    def learn(self, watched: WatchedRun, state: RunState) -> None:
        """Takes in what is known of a run, and has its steps read if it is time for that."""
        before, is_here = watched.state.status, watched.is_here
        self._roster.learn(watched, state)
        # Whoever else polls it reads its steps, and looks again.
        if is_here:
            self._steps.learned(watched, before)
            self._late.learned(watched, before)

    async def _ask(self, watched: WatchedRun, gate: SourceDispatcher) -> None:
        """Asks once, and records what is new."""
        source = watched.source
        answer = await source.fetch(watched.thread_id, watched.run_id, watched.body)
        self._roster.heed(gate, answer)
        state: RunState | None = watched.state
        if answer.body != watched.body:
            glance = source.glance(answer.body)
            if watched.glance is None or glance != watched.glance:
                state = await self._record(watched, answer.body, answer)
            if state is not None:
                watched.body, watched.glance, watched.entry = answer.body, glance, None
        self._looked(watched, answer, state)

    async def _ask_page(
        self, source: PageSource, gate: SourceDispatcher, together: Sequence[WatchedRun]
    ) -> None:
        """Asks for a page of a thread's runs and takes in what it shows of those `together`."""
        thread_id = together[0].thread_id
        limit = gate.page_limits.get(thread_id, PAGE_LIMIT)
        try:
            answer, entries = await source.fetch_page(thread_id, limit)
        except (NotFound, RequestRefused, Misconfigured, UnusableAnswer) as error:
            # What a page cannot say, the runs can: they are asked for one by one.
            failing = together[0].failing
            if not isinstance(error, UnusableAnswer) or (failing and failing.looks >= 2):
                for watched in together:
                    watched.alone = True
            if isinstance(error, Misconfigured):
                raise RequestRefused(str(error)) from error
            raise
        self._roster.heed(gate, answer)
        places = {entry.get("id"): place for place, entry in enumerate(entries)}
        # Only as long as it takes to show the oldest of them.
        last = max(places.get(watched.run_id, PAGE_LIMIT) for watched in together)
        gate.page_limits[thread_id] = min(last + 1 + PAGE_SPARE, PAGE_LIMIT)
        shown = [watched for watched in together if watched.run_id in places]
        looks = [
            self._take_entry(watched, answer, entries[places[watched.run_id]]) for watched in shown
        ]
        for watched in together:
            if watched.run_id not in places:
                watched.alone = limit == PAGE_LIMIT
                self._roster.requeue(watched)
        for watched, result in zip(
            shown, await asyncio.gather(*looks, return_exceptions=True), strict=True
        ):
            if isinstance(result, RunfoldError):
                self._failures.of_look(watched, gate, result)
            elif isinstance(result, BaseException):
                raise result

    def _go_with(self, watched: WatchedRun, together: Sequence[WatchedRun]) -> None:
        """Has the runs that were asked about with one that failed wait as it does."""
        for other in together:
            if other is not watched and watched.slot is not None:
                self._roster.schedule(other, watched.due - self._clock.monotonic())
            elif other is not watched:
                self._roster.requeue(other)

    async def _take_entry(
        self, watched: WatchedRun, answer: Answer, entry: Mapping[str, Any]
    ) -> None:
        state: RunState | None = watched.state
        if watched.entry != entry:
            state = await self._record(watched, entry, answer)
            if state is not None:
                watched.body, watched.glance, watched.entry = None, None, entry
        self._looked(watched, answer, state)

    async def _record(
        self, watched: WatchedRun, body: bytes | Mapping[str, Any], answer: Answer
    ) -> RunState | None:
        """What is known of a run after an answer; None where that is doubted, and not recorded."""
        snapshot = watched.source.snapshot(
            body,
            observed_at=answer.observed_at,
            asked_at=answer.asked_at,
            unchanged_until=watched.unchanged_until,
        )
        watched.doubt = detect_stale_read(watched.state, snapshot, watched.doubt)
        if watched.doubt is not None:
            if not watched.doubt.is_confirmed:
                return None
            snapshot = snapshot.model_copy(update={"not_after": watched.doubt.since})
        return (await self._batching.observe(snapshot, self._notice)).state

    def _looked(self, watched: WatchedRun, answer: Answer, state: RunState | None) -> None:
        watched.failing = None
        if state is None and watched.doubt is not None:
            pause = DOUBT_SECONDS * watched.doubt.reads
            self._roster.schedule(watched, max(pause, answer.poll_after or 0.0))
            return
        watched.unchanged_until, watched.doubt = answer.asked_at, None
        self.learn(watched, state or watched.state)
        self._roster.plan(watched, answer.poll_after)
