"""Fetch, decide, append: watches a set of runs until each has ended."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine

from tracker.clock import Clock
from tracker.core.decider import decide_vanished
from tracker.core.events import run_stream
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
from tracker.polling.watched import Watched
from tracker.sources.answer import Answer, requests_left
from tracker.sources.source import Source

logger = logging.getLogger("runfold.polling")

# A service may need a moment to know a run that it has just made.
MISSING_FOR_SECONDS = 5.0
REFUSALS_BEFORE_SET_ASIDE = 3
PROBE_SECONDS = 60.0


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
        self._cadence = cadence or Cadence()
        self._concurrency = concurrency
        self._ceiling = ceiling
        self._jitter = jitter
        self._watched: dict[str, Watched] = {}
        self._gates: dict[str, Gate] = {}
        self._polls: set[asyncio.Task[None]] = set()

    @property
    def watched(self) -> list[Watched]:
        """The runs that are being watched now."""
        return list(self._watched.values())

    def find(self, stream: str) -> Watched | None:
        """The watched run of a stream, if it is watched."""
        return self._watched.get(stream)

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
        known = self._watched.get(stream)
        if known is not None:
            return known
        now = self._clock.monotonic()
        watched = Watched(source, thread_id, run_id, stream, state)
        self._watched[stream] = watched
        gate = self._gate(watched)
        gate.joined(watched, now, self._since_creation(state))
        gate.wheel.add(watched, now + after)
        return watched

    def notice(self, stream: str, state: RunState) -> None:
        """Takes in what another way than a poll has shown of a run."""
        watched = self._watched.get(stream)
        if watched is None:
            return
        # The next poll may show again what it showed before this.
        watched.body = watched.glance = watched.unchanged_until = None
        moved = state.status != watched.state.status
        self._learn(watched, self._gate(watched), state)
        scheduled = watched.in_line or watched.slot is not None
        if moved and scheduled and self._watched.get(stream) is watched:
            self._schedule(watched, self._wait(watched, None))

    async def tick(self) -> None:
        """Starts the polls that are due and may be asked, the longest due first."""
        now = self._clock.monotonic()
        for gate in self._gates.values():
            for watched in gate.wheel.take(now):
                gate.lines.add(watched)
            while gate.lines and gate.asking < self._concurrency:
                found = gate.next(now)
                if found is None:
                    break
                gate.asking += 1
                self._start(self._poll(found, gate))

    async def settle(self) -> None:
        """Returns once the polls that are under way have come to something."""
        await asyncio.gather(*self._polls, return_exceptions=True)

    async def close(self) -> None:
        """Stops polling; an answer that is being recorded is recorded."""
        for poll in self._polls:
            poll.cancel()
        await self.settle()
        self._watched.clear()
        await self._batching.drain()

    async def _poll(self, watched: Watched, gate: Gate) -> None:
        try:
            hint = await self._ask(watched, gate)
        except RunfoldError as error:
            self._failed(watched, gate, error)
        except Exception as error:
            # A source of somebody else's may raise anything; its run is not to be lost for it.
            logger.exception("%s: the source failed", watched.stream)
            self._failed(watched, gate, Unreachable(f"{type(error).__name__}: {error}"))
        else:
            watched.failures = watched.refusals = 0
            watched.missing_since = watched.trouble = None
            if self._watched.get(watched.stream) is watched:
                self._schedule(watched, self._wait(watched, hint))
        finally:
            gate.asking -= 1

    async def _ask(self, watched: Watched, gate: Gate) -> float | None:
        """Asks once, records what is new, and gives the wait that the service asked for."""
        source = watched.source
        answer = await source.fetch(watched.thread_id, watched.run_id, watched.body)
        gate.answered()
        self._heed(gate, answer)
        state = watched.state
        if answer.body != watched.body:
            glance = source.glance(answer.body)
            if watched.glance is None or glance != watched.glance:
                snapshot = source.snapshot(
                    answer.body,
                    observed_at=answer.observed_at,
                    asked_at=answer.asked_at,
                    unchanged_until=watched.unchanged_until,
                )
                observed = await self._batching.record(look(snapshot))
                state = observed.state
            watched.body, watched.glance = answer.body, glance
        watched.unchanged_until = answer.asked_at
        self._learn(watched, gate, state)
        return answer.poll_after

    def _heed(self, gate: Gate, answer: Answer) -> None:
        left = requests_left(answer.headers)
        if left is not None:
            gate.limit = limiter.told(gate.limit, self._clock.monotonic(), left, gate.sent)

    def _learn(self, watched: Watched, gate: Gate, state: RunState) -> None:
        now = self._clock.monotonic()
        if self._watched.get(watched.stream) is watched:
            first = watched.state.status is None
            ago = None
            if state.ended_at is not None:
                ago = (self._clock.now() - state.ended_at).total_seconds()
            gate.learn(watched, state, now, ago)
            if first:
                gate.met(watched, now, self._since_creation(state))
        if state is not watched.state:
            watched.learn(state)
        if state.is_ended:
            self._drop(watched)

    def _drop(self, watched: Watched) -> None:
        if self._watched.pop(watched.stream, None) is not None:
            self._gate(watched).left(watched)

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
            if self._watched.get(watched.stream) is watched:
                gate.lines.add(watched)
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
        if self._watched.get(watched.stream) is watched:
            self._schedule(watched, pause)

    def _set_aside(self, watched: Watched, error: RunfoldError) -> None:
        logger.warning("%s: no longer asked about: %s", watched.stream, error)
        self._drop(watched)
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

    def _gate(self, watched: Watched) -> Gate:
        gate = self._gates.get(watched.source.name)
        if gate is None:
            limit = limiter.begin(self._cadence.start, self._ceiling)
            gate = self._gates[watched.source.name] = Gate(self._cadence, limit)
        return gate

    def _backoff(self, failures: int, error: RunfoldError) -> float:
        asked = error.retry_after if isinstance(error, PollAgain) else None
        return backoff(failures, asked=asked, jitter=self._jitter())

    def _since_creation(self, state: RunState) -> float:
        if state.created_at is None:
            return 0.0
        return (self._clock.now() - state.created_at).total_seconds()

    def _wait(self, watched: Watched, hint: float | None) -> float:
        expires_at = watched.state.expires_at
        left = None
        if expires_at is not None:
            left = (expires_at - self._clock.now()).total_seconds()
        now, jitter = self._clock.monotonic(), 2 * self._jitter() - 1
        return self._gate(watched).plan(watched, now, jitter, hint=hint, expires_in=left)

    def _schedule(self, watched: Watched, pause: float) -> None:
        watched.in_line = False
        self._gate(watched).wheel.add(watched, self._clock.monotonic() + pause)
