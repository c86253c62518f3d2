"""Fetch, decide, append: watches a set of runs until each has ended."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from tracker.clock import Clock
from tracker.core.events import run_stream
from tracker.core.facts import decide_vanished
from tracker.core.state import RunState, initial_state
from tracker.errors import (
    Busy,
    KeyRefused,
    Misconfigured,
    NotFound,
    PollAgain,
    RateLimited,
    RequestRefused,
    RunfoldError,
    StoreError,
    Unreachable,
    UnusableAnswer,
)
from tracker.histories import Look, look
from tracker.polling import breaker, limiter
from tracker.polling.batching import Batching
from tracker.polling.cadence import Cadence, backoff
from tracker.polling.gate import Gate
from tracker.polling.roster import Roster
from tracker.polling.watched import Watched
from tracker.sources.answer import Answer
from tracker.sources.source import PageSource, Source

logger = logging.getLogger("runfold.polling")

# A service may need a moment to know a run that it has just made.
MISSING_FOR_SECONDS = 5.0
REFUSALS_BEFORE_SET_ASIDE = 3
PROBE_SECONDS = 60.0
PAGE_LIMIT = 100
# Runs that may begin before the next page without hiding the oldest from it.
PAGE_SPARE = 5


class Poller:
    """Polls each watched run when it is due, `concurrency` requests at a time and source.

    `tick` starts what is due; whoever holds the poller calls it several times a second.
    `ceiling` is what a source is asked at most, in requests a second. `jitter` gives numbers
    from 0 to 1.
    """

    def __init__(
        self,
        batching: Batching,
        clock: Clock,
        *,
        cadence: Cadence | None = None,
        concurrency: int = 32,
        ceiling: float | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._batching = batching
        self._clock = clock
        self._concurrency = concurrency
        self._jitter = jitter
        self._roster = Roster(clock, cadence or Cadence(), ceiling, jitter)
        self.divide = self._roster.divide  # where others poll too
        self._polls: set[asyncio.Task[None]] = set()

    @property
    def watched(self) -> list[Watched]:
        """The runs that are being watched now."""
        return self._roster.all

    def find(self, stream: str) -> Watched | None:
        """The watched run of a stream, if it is watched."""
        return self._roster.find(stream)

    def watch(
        self,
        source: Source,
        thread_id: str,
        run_id: str,
        *,
        state: RunState = initial_state,
        after: float = 0.0,
    ) -> Watched:
        """Watches a run from `after` seconds on; a run that is watched already stays as it is."""
        stream = run_stream(source.name, run_id)
        if (known := self._roster.find(stream)) is not None:
            return known
        watched = Watched(source, thread_id, run_id, stream, state)
        self._roster.add(watched, after)
        return watched

    def notice(self, stream: str, state: RunState) -> None:
        """Takes in what another way than a poll has shown of a run."""
        watched = self._roster.find(stream)
        if watched is None:
            return
        # The next poll may show again what it showed before this.
        watched.body = watched.glance = watched.entry = watched.unchanged_until = None
        moved = state.status != watched.state.status
        self._roster.learn(watched, state)
        if moved and (watched.in_line or watched.slot is not None):
            self._roster.plan(watched)

    async def tick(self) -> None:
        """Starts the polls that are due and may be asked, the longest due first."""
        now = self._clock.monotonic()
        for gate in self._roster.gates:
            for watched in gate.wheel.take(now):
                gate.lines.add(watched)
            while gate.lines and gate.asking < self._concurrency:
                found = gate.next(now)
                if found is None:
                    break
                gate.asking += 1
                together = gate.taken_together(found)
                self._start(self._poll(found, gate, together))

    async def settle(self) -> None:
        """Returns once the polls that are under way have come to something."""
        await asyncio.gather(*self._polls, return_exceptions=True)

    async def close(self) -> None:
        """Stops polling; an answer that is being recorded is recorded."""
        for poll in self._polls:
            poll.cancel()
        await self.settle()
        self._roster.clear()
        await self._batching.drain()

    async def _poll(self, watched: Watched, gate: Gate, together: Sequence[Watched] = ()) -> None:
        """Asks about a run, or about it `together` with others of its thread."""
        try:
            if together and isinstance(watched.source, PageSource):
                await self._ask_page(watched.source, gate, together)
            else:
                self._looked(watched, *await self._ask(watched, gate))
        except RunfoldError as error:
            self._failed(watched, gate, error)
            self._go_with(watched, together)
        except Exception as error:
            # A source of somebody else's may raise anything; its run is not to be lost for it.
            logger.exception("%s: the source failed", watched.stream)
            self._failed(watched, gate, Unreachable(f"{type(error).__name__}: {error}"))
            self._go_with(watched, together)
        finally:
            gate.asking -= 1

    async def _ask(self, watched: Watched, gate: Gate) -> tuple[Answer, RunState]:
        """Asks once, records what is new, and gives what is known then."""
        source = watched.source
        answer = await source.fetch(watched.thread_id, watched.run_id, watched.body)
        self._roster.heed(gate, answer)
        state = watched.state
        if answer.body != watched.body:
            glance = source.glance(answer.body)
            if watched.glance is None or glance != watched.glance:
                state = await self._record(watched, answer.body, answer)
            watched.body, watched.glance, watched.entry = answer.body, glance, None
        return answer, state

    async def _ask_page(self, source: PageSource, gate: Gate, together: Sequence[Watched]) -> None:
        """Asks for a page of a thread's runs and takes in what it shows of those `together`."""
        thread_id = together[0].thread_id
        limit = gate.page_limits.get(thread_id, PAGE_LIMIT)
        try:
            answer, entries = await source.fetch_page(thread_id, limit)
        except (NotFound, RequestRefused, Misconfigured, UnusableAnswer) as error:
            # What a page cannot say, the runs can: they are asked for one by one.
            if not isinstance(error, UnusableAnswer) or together[0].failures >= 2:
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
                self._failed(watched, gate, result)
            elif isinstance(result, BaseException):
                raise result

    def _go_with(self, watched: Watched, together: Sequence[Watched]) -> None:
        """Has the runs that were asked about with one that failed wait as it does."""
        for other in together:
            if other is not watched and watched.slot is not None:
                self._roster.schedule(other, watched.due - self._clock.monotonic())
            elif other is not watched:
                self._roster.requeue(other)

    async def _take_entry(self, watched: Watched, answer: Answer, entry: Mapping[str, Any]) -> None:
        state = watched.state
        if watched.entry != entry:
            state = await self._record(watched, entry, answer)
            watched.body, watched.glance, watched.entry = None, None, entry
        self._looked(watched, answer, state)

    async def _record(
        self, watched: Watched, body: bytes | Mapping[str, Any], answer: Answer
    ) -> RunState:
        snapshot = watched.source.snapshot(
            body,
            observed_at=answer.observed_at,
            asked_at=answer.asked_at,
            unchanged_until=watched.unchanged_until,
        )
        return (await self._batching.record(look(snapshot))).state

    def _looked(self, watched: Watched, answer: Answer, state: RunState) -> None:
        watched.unchanged_until = answer.asked_at
        watched.failures = watched.refusals = 0
        watched.missing_since = watched.trouble = None
        self._roster.learn(watched, state)
        self._roster.plan(watched, answer.poll_after)

    def _failed(self, watched: Watched, gate: Gate, error: RunfoldError) -> None:
        watched.failures += 1
        watched.trouble = error
        pause = self._backoff(watched.failures, error)
        now = self._clock.monotonic()
        if isinstance(error, (KeyRefused, Misconfigured)):
            pause = PROBE_SECONDS
            gate.opens, gate.refusing = now + pause, True
            logger.warning("%s: not asked for a minute: %s", watched.source.name, error)
            for other in self.watched:
                if other.source is watched.source:
                    other.fail(error)
                    other.error = None
        elif isinstance(error, RateLimited):
            gate.limited += 1
            gate.limit = limiter.refused(gate.limit, now, self._backoff(gate.limited, error))
            self._roster.requeue(watched)
            return
        elif isinstance(error, (Unreachable, UnusableAnswer)):
            gate.breaker = breaker.failed(gate.breaker, now, self._jitter())
        elif isinstance(error, (NotFound, RequestRefused, Busy)):
            gate.answered()
        if isinstance(error, NotFound):
            if watched.missing_since is None:
                watched.missing_since = now
            if now - watched.missing_since >= MISSING_FOR_SECONDS:
                self._set_aside(watched, error)
                self._vanish(watched)
                return
            pause = MISSING_FOR_SECONDS + 0.1
        elif isinstance(error, RequestRefused):
            watched.refusals += 1
            if watched.refusals >= REFUSALS_BEFORE_SET_ASIDE:
                self._set_aside(watched, error)
                return
        if isinstance(error, StoreError):
            logger.warning("%s: not recorded, will be looked at again: %s", watched.stream, error)
        self._roster.schedule(watched, pause)

    def _set_aside(self, watched: Watched, error: RunfoldError) -> None:
        logger.warning("%s: no longer asked about: %s", watched.stream, error)
        self._roster.drop(watched)
        watched.fail(error)

    def _vanish(self, watched: Watched) -> None:
        at = self._clock.now()
        vanished = Look(watched.stream, lambda state: decide_vanished(state, at))
        self._start(self._record_quietly(vanished))

    async def _record_quietly(self, entry: Look) -> None:
        try:
            await self._batching.record(entry)
        except RunfoldError as error:
            logger.warning("%s: not recorded: %s", entry.stream, error)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._polls.add(task)
        task.add_done_callback(self._polls.discard)

    def _backoff(self, failures: int, error: RunfoldError) -> float:
        asked = error.retry_after if isinstance(error, PollAgain) else None
        return backoff(failures, asked=asked, jitter=self._jitter())
