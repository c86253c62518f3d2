"""Polls of runs, alone or on a page of their thread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tracker.core.events import run_stream
from tracker.core.snapshot import RunSnapshot
from tracker.core.stale_reads import detect_stale_read
from tracker.errors import (
    Misconfigured,
    NotFound,
    RequestRefused,
    RunfoldError,
    UnusableAnswer,
)
from tracker.polling.dispatcher import SourceDispatcher
from tracker.polling.queues.background_requests import PAGE_LIMIT
from tracker.polling.requests.run_requests import RunRequests
from tracker.polling.requests.source_errors import unexpected_as_unreachable
from tracker.polling.watched_run import WatchedRun
from tracker.recording.observation import RecordResult
from tracker.runtime.log_fields import of_run
from tracker.sources.answer import Answer
from tracker.sources.asked import ANOTHER_ID
from tracker.sources.source import PageSource
from tracker.sources.wire import misfit

logger = logging.getLogger("runfold.polling")

# After a stale read, and twice that after the next in a row.
STALE_READ_SECONDS = 0.4
# A page is requested with room for so many runs that may have started since the last one.
PAGE_SPARE = 5


class RunPolls(RunRequests):
    """Polls runs that are due, and records the answers."""

    async def poll(
        self, watched: WatchedRun, dispatcher: SourceDispatcher, group: Sequence[WatchedRun]
    ) -> None:
        """Polls a run, or the page of a `group` of runs that it is the first of."""
        try:
            with unexpected_as_unreachable(logger, watched.stream, of_run):
                if group and isinstance(watched.source, PageSource):
                    await self._poll_page(watched.source, dispatcher, group)
                else:
                    await self._poll_run(watched, dispatcher)
        except RunfoldError as error:
            self._error_policy.on_poll_error(watched, dispatcher, error)
            self._reschedule_group(watched, group)

    async def _poll_run(self, watched: WatchedRun, dispatcher: SourceDispatcher) -> None:
        source, known = watched.source, watched.state.version
        began = self._start_look([watched])
        answer = await source.fetch(watched.thread_id, watched.run_id, watched.body)
        seconds = self._clock.monotonic() - began
        answer = self._check_clock([watched], answer, seconds)
        self._watch_list.apply_rate_headers(dispatcher, answer, watched.subject, seconds)
        result: RecordResult | None = RecordResult(watched.stream, watched.state, ())
        if answer.body != watched.body:
            glance = source.glance(answer.body)
            if watched.glance is None or glance != watched.glance:
                result = await self._record(watched, answer.body, answer, known)
            if result is not None:
                watched.body, watched.glance, watched.page_entry = answer.body, glance, None
        self._apply(watched, answer, result)

    async def _poll_page(
        self, source: PageSource, dispatcher: SourceDispatcher, group: Sequence[WatchedRun]
    ) -> None:
        thread_id = group[0].thread_id
        assert thread_id is not None
        limit = dispatcher.page_limits.get(thread_id, PAGE_LIMIT)
        known = {watched: watched.state.version for watched in group}
        started = self._start_look(group)
        try:
            answer, entries = await source.fetch_page(thread_id, limit)
        except (NotFound, RequestRefused, Misconfigured, UnusableAnswer) as error:
            # The runs may be readable where their page is not: they are polled one by one.
            failures = group[0].failures
            if not isinstance(error, UnusableAnswer) or (failures and failures.polls >= 2):
                for watched in group:
                    watched.polled_alone = True
            if isinstance(error, Misconfigured):
                raise RequestRefused(str(error)) from error
            raise
        answer = self._check_clock(group, answer, self._clock.monotonic() - started)
        self._watch_list.apply_rate_headers(dispatcher, answer, group[0].subject)
        places = {entry.get("id"): place for place, entry in enumerate(entries)}
        # The next page is only as long as it takes to show the oldest of them.
        last = max(places.get(watched.run_id, PAGE_LIMIT) for watched in group)
        # Some may have ended meanwhile: a thread without a group has no next page.
        if any(watched.page_group is not None for watched in group):
            dispatcher.page_limits[thread_id] = min(last + 1 + PAGE_SPARE, PAGE_LIMIT)
        shown = [watched for watched in group if watched.run_id in places]
        applied = [
            self._apply_entry(watched, answer, entries[places[watched.run_id]], known[watched])
            for watched in shown
        ]
        for watched in group:
            if watched.run_id not in places:
                watched.polled_alone = limit == PAGE_LIMIT
                self._watch_list.requeue(watched)
        results = await asyncio.gather(*applied, return_exceptions=True)
        for watched, result in zip(shown, results, strict=True):
            if isinstance(result, RunfoldError):
                self._error_policy.on_poll_error(watched, dispatcher, result)
            elif isinstance(result, BaseException):
                raise result

    def _start_look(self, group: Sequence[WatchedRun]) -> float:
        """Notes our clock for a look at runs. Returns the monotonic time of its start."""
        for watched in group:
            self._watch_list.check_clock(watched)
        return self._clock.monotonic()

    def _check_clock(self, group: Sequence[WatchedRun], answer: Answer, seconds: float) -> Answer:
        """Returns an answer, that took `seconds`, with all times by our clock as it is now."""
        was_set = [self._watch_list.check_clock(watched) for watched in group]
        if True not in was_set:
            return answer
        # It was set meanwhile.
        return replace(answer, asked_at=answer.observed_at - timedelta(seconds=seconds))

    def _reschedule_group(self, watched: WatchedRun, group: Sequence[WatchedRun]) -> None:
        """Schedules the other runs of a page that failed together with the first."""
        for other in group:
            other.held_until = max(other.held_until, watched.held_until)
            if other is not watched and watched.timer_slot is not None:
                self._watch_list.schedule(other, watched.due - self._clock.monotonic())
            elif other is not watched:
                self._watch_list.requeue(other)

    async def _apply_entry(
        self, watched: WatchedRun, answer: Answer, entry: Mapping[str, Any], known: int
    ) -> None:
        result: RecordResult | None = RecordResult(watched.stream, watched.state, ())
        if watched.page_entry != entry:
            result = await self._record(watched, entry, answer, known)
            if result is not None:
                watched.body, watched.glance, watched.page_entry = None, None, entry
        self._apply(watched, answer, result)

    async def _record(
        self,
        watched: WatchedRun,
        body: bytes | Mapping[str, Any],
        answer: Answer,
        known: int,
    ) -> RecordResult | None:
        """Records an answer to a request that was sent when the run was at version `known`.

        Returns None if the answer looks stale.
        """
        snapshot = watched.source.snapshot(
            body,
            observed_at=answer.observed_at,
            asked_at=answer.asked_at,
            unchanged_until=watched.unchanged_until,
        ).on_thread(watched.thread_id)
        if answer.given_id is not None:
            snapshot = await self._accept_id(watched, snapshot, answer.given_id)
        if told := self._watch_list.describe_clocks(watched, watched.source):
            snapshot = snapshot.model_copy(update=told)
        stale = watched.stale_read = detect_stale_read(watched.state, snapshot, watched.stale_read)
        if stale is not None:
            if not stale.is_confirmed:
                return None
            snapshot = snapshot.model_copy(update={"not_after": stale.since})
        result, predecessor = await self._commits.observe(snapshot, known, patient=True)
        self._watch_list.apply_events(watched, watched.source, result.events)
        if predecessor is not None:
            self._updates.on_state(predecessor.stream, predecessor.state)
        return result

    async def _accept_id(
        self, watched: WatchedRun, snapshot: RunSnapshot, given_id: str
    ) -> RunSnapshot:
        """Returns the snapshot of an answer that came with another id than was asked for.

        Raises UnusableAnswer if the answer is about another run by all signs.
        """
        created_at, stream = watched.state.created_at, run_stream(watched.source.name, given_id)
        is_known = self._watch_list.find(stream) is not None
        is_known = is_known or (await self._commits.state(stream, patient=True)).status is not None
        if is_known or (created_at is not None and snapshot.created_at != created_at):
            raise misfit(f"the answer about {watched.run_id} is about another run")
        names = snapshot.peculiarities | {ANOTHER_ID}
        return snapshot.model_copy(update={"peculiarities": names})

    def _apply(self, watched: WatchedRun, answer: Answer, result: RecordResult | None) -> None:
        """Applies the state that an answer has shown, and schedules the next poll."""
        watched.failures = None
        if result is None and watched.stale_read is not None:
            pause = STALE_READ_SECONDS * watched.stale_read.reads
            self._watch_list.schedule(watched, max(pause, answer.poll_after or 0.0))
            return
        watched.unchanged_until, watched.stale_read = answer.asked_at, None
        is_overtaken = result is not None and result.is_overtaken
        if is_overtaken:
            # Others recorded news of the run meanwhile, and this answer may be older or newer.
            watched.forget_answer()
        self._updates.on_poll(watched, watched.state if result is None else result.state)
        if is_overtaken:
            self._watch_list.schedule(watched, max(STALE_READ_SECONDS, answer.poll_after or 0.0))
        else:
            self._watch_list.schedule_next(watched, answer.poll_after)
