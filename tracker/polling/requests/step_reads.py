"""Reads of the steps of runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from tracker.core.events import Event, run_stream
from tracker.core.other_decisions import decide_steps, is_stale_step_list
from tracker.core.snapshot import StepSnapshot
from tracker.core.state import RunState
from tracker.core.status import is_ended
from tracker.errors import KeyRefused, Misconfigured, PollAgain, RunfoldError
from tracker.polling.dispatcher import SourceDispatcher
from tracker.polling.error_policy import PROBE_SECONDS, ErrorPolicy
from tracker.polling.queues.background_queue import BackgroundRequest
from tracker.polling.queues.background_requests import StepsRequest
from tracker.polling.requests.source_errors import unexpected_as_unreachable
from tracker.polling.watch_list import WatchList
from tracker.recording.group_commit import GroupCommit
from tracker.recording.observation import Observation
from tracker.runtime.clock import Clock
from tracker.runtime.log_fields import of_run, of_source
from tracker.sources.source import StepSource

logger = logging.getLogger("runfold.steps")

# A list from before the run's end is read again, with growing pauses, and in the end accepted.
MAX_STALE_LISTS, STALE_LIST_SECONDS = 2, 0.5
# Of up to a hundred steps each.
MAX_PAGES = 20


class StepReads:
    """Reads the steps of runs behind the polls that are due, and records those that ended."""

    def __init__(
        self, watch_list: WatchList, commits: GroupCommit, clock: Clock, error_policy: ErrorPolicy
    ) -> None:
        self._watch_list = watch_list
        self._commits = commits
        self._clock = clock
        self._error_policy = error_policy
        self._changed = asyncio.Event()

    @property
    def waiting(self) -> int:
        """The number of runs whose steps are to be read, without those that are set aside.

        Those of sources that deny steps are left out too.
        """
        now = self._clock.monotonic()
        return sum(
            len(dispatcher.urgent_steps) + len(dispatcher.steps) - len(self._postponed(dispatcher))
            for dispatcher in self._watch_list.dispatchers
            if max(dispatcher.urgent_steps.held_until, dispatcher.steps.held_until) <= now
        )

    async def drain(self, timeout: float) -> bool:
        """Returns True once no run is waiting, or False after `timeout` seconds.

        Returns False too if the steps of a run are set aside because the service failed.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                # An observation that was just recorded may not be applied yet.
                await asyncio.sleep(0)
                while self.waiting:
                    self._changed.clear()
                    await self._changed.wait()
        return not self.waiting and not any(
            isinstance(error, PollAgain)
            for dispatcher in self._watch_list.dispatchers
            for error in self._postponed(dispatcher).values()
        )

    async def read(self, request: StepsRequest, dispatcher: SourceDispatcher) -> None:
        """Fetches the next page of a run's steps; records all steps after the last page."""
        try:
            with unexpected_as_unreachable(logger, _stream(request), of_run):
                await self._read_page(request, dispatcher)
        except RunfoldError as error:
            self._on_error(request, dispatcher, error)
        finally:
            self._changed.set()

    async def _read_page(self, request: StepsRequest, dispatcher: SourceDispatcher) -> None:
        source, queue = request.source, dispatcher.steps_queue(hides_pause=request.hides_pause)
        assert isinstance(source, StepSource)
        answer, entries, after = await source.fetch_steps(
            request.thread_id, request.key, request.after
        )
        self._watch_list.apply_rate_headers(dispatcher, answer, request.subject)
        request.steps.extend(parse_steps(source, _stream(request), entries))
        request.pages += 1
        if after is not None and after != request.after and request.pages < MAX_PAGES:
            request.after = after
            queue.add(request, self._clock.monotonic())
        elif not await self._record(request, answer.observed_at):
            request.stale_lists += 1
            request.ended_steps |= {it.step_id: it for it in request.steps if is_ended(it.status)}
            request.restart()
            pause = STALE_LIST_SECONDS * request.stale_lists
            queue.add(request, self._clock.monotonic() + pause)
        elif request.read_again:
            request.failures = request.stale_lists = 0
            request.restart()
            queue.add(request, self._clock.monotonic())
        else:
            dispatcher.finish(queue, request)

    async def _record(self, request: StepsRequest, observed_at: datetime) -> bool:
        """Records the steps of a run. Returns False if the list is stale, and has to be reread."""
        by_id = {it.step_id: it for it in request.steps} | request.ended_steps
        steps = list(by_id.values())
        is_last = request.stale_lists >= MAX_STALE_LISTS or request.pages >= MAX_PAGES

        def decide(state: RunState) -> list[Event]:
            if is_stale_step_list(state, steps) and not is_last:
                return []
            return decide_steps(state, steps, observed_at)

        result = await self._commits.record(
            Observation(_stream(request), decide, peculiarities=union_of(steps)), patient=True
        )
        return is_last or not is_stale_step_list(result.state, steps)

    def _on_error(
        self, request: StepsRequest, dispatcher: SourceDispatcher, error: RunfoldError
    ) -> None:
        request.restart()
        queue = dispatcher.steps_queue(hides_pause=request.hides_pause)
        self._error_policy.retry_later(request, dispatcher, queue, error)
        if isinstance(error, (KeyRefused, Misconfigured)):
            name = request.source.name
            logger.warning(
                "%s: reading steps is paused for %.0f s: %s",
                name,
                PROBE_SECONDS,
                error,
                extra=of_source(name),
            )

    @staticmethod
    def _postponed(dispatcher: SourceDispatcher) -> dict[BackgroundRequest, RunfoldError]:
        postponed = dispatcher.postponed
        return {it: postponed[it] for it in postponed if isinstance(it, StepsRequest)}


def parse_steps(
    source: StepSource, stream: str, entries: Iterable[Mapping[str, Any]]
) -> list[StepSnapshot]:
    """Returns the snapshots of entries; logs and skips an entry that is not a step."""
    steps = []
    for entry in entries:
        try:
            steps.append(source.steps_snapshot(entry))
        except RunfoldError as error:
            logger.warning("%s: cannot record a step: %s", stream, error, extra=of_run(stream))
    return steps


def union_of(steps: Iterable[StepSnapshot]) -> frozenset[str]:
    """Returns the names of the peculiarities of steps."""
    return frozenset[str]().union(*(step.peculiarities for step in steps))


def _stream(request: StepsRequest) -> str:
    return run_stream(request.source.name, request.key)
