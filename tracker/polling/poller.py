"""The poller: sends the requests that are due, polls first and background requests behind them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine

from tracker.polling.dispatcher import SourceDispatcher
from tracker.polling.error_policy import ErrorPolicy
from tracker.polling.queues.background_queue import BackgroundQueue, RequestT
from tracker.polling.requests.backfill_pages import BackfillPages
from tracker.polling.requests.discovery import Discovery
from tracker.polling.requests.late_usage import UsageRechecks
from tracker.polling.requests.run_polls import RunPolls
from tracker.polling.requests.second_looks import SecondLooks
from tracker.polling.requests.step_reads import StepReads
from tracker.polling.run_updates import RunUpdates
from tracker.polling.watch_list import WatchList
from tracker.recording.group_commit import GroupCommit
from tracker.runtime.clock import Clock

_Send = Callable[[RequestT, SourceDispatcher], Coroutine[None, None, None]]


class Poller:
    """Polls the runs of the watch list, `concurrency` requests at a time and source.

    `tick` is to be called several times a second. `jitter` returns numbers from 0 to 1.
    """

    def __init__(
        self,
        watch_list: WatchList,
        updates: RunUpdates,
        commits: GroupCommit,
        clock: Clock,
        *,
        concurrency: int = 32,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._watch_list = watch_list
        self._commits = commits
        self._clock = clock
        self._concurrency = concurrency
        errors = ErrorPolicy(watch_list, updates, clock, jitter)
        parts = watch_list, updates, commits, clock, errors
        self._run_polls, self._usage_rechecks = RunPolls(*parts), UsageRechecks(*parts)
        self._second_looks, self.discovery = SecondLooks(*parts), Discovery(*parts)
        self.step_reads = StepReads(watch_list, commits, clock, errors)
        self.backfill_pages = BackfillPages(watch_list, clock, errors)
        self._is_closed = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def tick(self) -> None:
        """Starts the requests that are due and may be sent, the longest due first."""
        now = self._clock.monotonic()
        for dispatcher in self._open_dispatchers():
            dispatcher.enqueue_due(now)
            if dispatcher.poll_queue:
                # The share that is reserved for them while polls could use up the rate.
                self._start_background(dispatcher)
                self._start_due(dispatcher, dispatcher.discovery, self.discovery.list_thread)
            self._start_polls(dispatcher, now)
            self._start_background(dispatcher)
            dispatcher.enqueue_early(now)
            self._start_polls(dispatcher, now)

    async def discover(self) -> None:
        """Starts listing the threads that are due, if no poll is."""
        for dispatcher in self._open_dispatchers():
            self._start_due(dispatcher, dispatcher.discovery, self.discovery.list_thread)

    async def settle(self) -> None:
        """Returns once the requests that are in flight are answered and recorded."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Stops polling; an answer that is being recorded is recorded."""
        self._is_closed = True
        self.backfill_pages.close()
        for task in self._tasks:
            task.cancel()
        await self.settle()
        self._watch_list.clear()
        await self._commits.drain()

    def _open_dispatchers(self) -> list[SourceDispatcher]:
        return [] if self._is_closed else self._watch_list.dispatchers

    def _start_polls(self, dispatcher: SourceDispatcher, now: float) -> None:
        free = self._concurrency - dispatcher.limiter.in_flight
        for watched, group in dispatcher.next_polls(now, free):
            self._start(self._run_polls.poll(watched, dispatcher, group), dispatcher)

    def _start_background(self, dispatcher: SourceDispatcher) -> None:
        self._start_due(dispatcher, dispatcher.urgent_steps, self.step_reads.read)
        self._start_due(dispatcher, dispatcher.steps, self.step_reads.read)
        self._start_due(dispatcher, dispatcher.backfill, self.backfill_pages.send)
        self._start_due(dispatcher, dispatcher.usage_rechecks, self._usage_rechecks.recheck)
        self._start_due(dispatcher, dispatcher.second_looks, self._second_looks.look)

    def _start_due(
        self,
        dispatcher: SourceDispatcher,
        queue: BackgroundQueue[RequestT],
        send: _Send[RequestT],
    ) -> None:
        now = self._clock.monotonic()
        while dispatcher.limiter.in_flight < self._concurrency:
            request = dispatcher.next_background(queue, now)
            if request is None:
                break
            self._start(send(request, dispatcher), dispatcher)

    def _start(self, work: Coroutine[None, None, None], dispatcher: SourceDispatcher) -> None:
        def finish(task: asyncio.Task[None]) -> None:
            dispatcher.limiter.in_flight -= 1
            self._tasks.discard(task)

        dispatcher.limiter.in_flight += 1
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(finish)
