"""Fetch, decide, append: watches a set of runs until each has ended."""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from tracker.clock import Clock
from tracker.core.events import run_stream
from tracker.core.facts import decide_vanished
from tracker.core.state import RunState, initial_state
from tracker.errors import (
    KeyRefused,
    Misconfigured,
    NotFound,
    PayloadError,
    PollAgain,
    RateLimited,
    RequestRefused,
    RunfoldError,
    StopPolling,
)
from tracker.histories import Look, look
from tracker.polling.batching import Batching
from tracker.polling.cadence import Cadence, backoff, wait
from tracker.polling.watched import Watched
from tracker.sources.source import Source

logger = logging.getLogger("runfold.polling")

# A service may need a moment to know a run that it has just made.
MISSING_FOR_SECONDS = 5.0
REFUSALS_BEFORE_SET_ASIDE = 3
PROBE_SECONDS = 60.0


@dataclass(slots=True)
class _Gate:
    """Whether a source may be asked: not before `opens`, and by one probe while `refusing`."""

    opens: float = 0.0
    refusing: bool = False
    limited: int = 0
    asking: int = 0


class Poller:
    """Polls each watched run when it is due, `concurrency` requests at a time.

    `tick` starts what is due; whoever holds the poller calls it several times a second.
    `jitter` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        batching: Batching,
        clock: Clock,
        *,
        cadence: Cadence | None = None,
        concurrency: int = 32,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._batching = batching
        self._clock = clock
        self._cadence = cadence or Cadence()
        self._concurrency = concurrency
        self._jitter = jitter
        self._watched: dict[str, Watched] = {}
        self._gates: dict[str, _Gate] = {}
        self._due: list[tuple[float, int, Watched]] = []
        self._order = count()
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
        watched = Watched(source, thread_id, run_id, stream, now + after, now, state)
        self._watched[stream] = watched
        self._schedule(watched, after)
        return watched

    def notice(self, stream: str, state: RunState) -> None:
        """Takes in what another way than a poll has shown of a run."""
        watched = self._watched.get(stream)
        if watched is not None:
            # The next poll may show again what it showed before this.
            watched.body = watched.glance = watched.unchanged_until = None
            self._learn(watched, state)

    async def tick(self) -> None:
        """Starts the polls that are due, the longest due first."""
        now = self._clock.monotonic()
        while self._due and self._due[0][0] <= now and len(self._polls) < self._concurrency:
            due, _, watched = heapq.heappop(self._due)
            if due != watched.due or self._watched.get(watched.stream) is not watched:
                continue
            gate = self._gate(watched)
            if gate.opens > now or (gate.refusing and gate.asking):
                self._schedule(watched, max(gate.opens - now, 0.2))
                continue
            gate.asking += 1
            poll = asyncio.create_task(self._poll(watched, gate))
            self._polls.add(poll)
            poll.add_done_callback(self._polls.discard)

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

    async def _poll(self, watched: Watched, gate: _Gate) -> None:
        try:
            hint = await self._ask(watched)
        except RunfoldError as error:
            self._failed(watched, gate, error)
        except Exception as error:
            # A source of somebody else's may raise anything; its run is not to be lost for it.
            logger.exception("%s: the source failed", watched.stream)
            self._failed(watched, gate, RunfoldError(f"{type(error).__name__}: {error}"))
        else:
            gate.refusing, gate.limited = False, 0
            watched.failures = watched.refusals = 0
            watched.missing_since = watched.trouble = None
            if self._watched.get(watched.stream) is watched:
                self._schedule(watched, self._wait(watched, hint))
        finally:
            gate.asking -= 1

    async def _ask(self, watched: Watched) -> float | None:
        """Asks once, records what is new, and gives the wait that the service asked for."""
        source = watched.source
        answer = await source.fetch(watched.thread_id, watched.run_id, watched.body)
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
                self._learn(watched, observed.state)
            watched.body, watched.glance = answer.body, glance
        watched.unchanged_until = answer.asked_at
        return answer.poll_after

    def _learn(self, watched: Watched, state: RunState) -> None:
        watched.learn(state, self._clock.monotonic())
        if state.is_ended:
            self._watched.pop(watched.stream, None)

    def _failed(self, watched: Watched, gate: _Gate, error: RunfoldError) -> None:
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
            pause = self._backoff(gate.limited, error)
            gate.opens = max(gate.opens, now + pause)
        elif isinstance(error, NotFound):
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
        if not isinstance(error, (PollAgain, StopPolling, PayloadError)):
            logger.warning("%s: not recorded, will be looked at again: %s", watched.stream, error)
        self._schedule(watched, pause)

    def _set_aside(self, watched: Watched, error: RunfoldError) -> None:
        logger.warning("%s: no longer asked about: %s", watched.stream, error)
        self._watched.pop(watched.stream, None)
        watched.fail(error)

    def _vanish(self, watched: Watched) -> None:
        at = self._clock.now()
        vanished = Look(watched.stream, lambda state: decide_vanished(state, at))
        recording = asyncio.create_task(self._record_quietly(vanished))
        self._polls.add(recording)
        recording.add_done_callback(self._polls.discard)

    async def _record_quietly(self, entry: Look) -> None:
        try:
            await self._batching.record(entry)
        except RunfoldError as error:
            logger.warning("%s: not recorded: %s", entry.stream, error)

    def _gate(self, watched: Watched) -> _Gate:
        return self._gates.setdefault(watched.source.name, _Gate())

    def _backoff(self, failures: int, error: RunfoldError) -> float:
        asked = error.retry_after if isinstance(error, PollAgain) else None
        return backoff(failures, asked=asked, jitter=self._jitter())

    def _wait(self, watched: Watched, hint: float | None) -> float:
        since_change = self._clock.monotonic() - watched.changed
        pause = wait(self._cadence, since_change, hint=hint, jitter=2 * self._jitter() - 1)
        expires_at = watched.state.expires_at
        if expires_at is not None:
            left = (expires_at - self._clock.now()).total_seconds() + 0.2
            if 0 < left < pause:
                return max(left, hint or 0.0)
        return pause

    def _schedule(self, watched: Watched, pause: float) -> None:
        watched.due = self._clock.monotonic() + pause
        heapq.heappush(self._due, (watched.due, next(self._order), watched))
