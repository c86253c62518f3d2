"""What a request that failed means: for its source, and for the run it was about."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tracker.errors import (
    Busy,
    KeyRefused,
    Misconfigured,
    NotFound,
    PollAgain,
    RateLimited,
    RequestRefused,
    RunfoldError,
    SourceError,
    StoreError,
    Unreachable,
    UnusableAnswer,
)
from tracker.polling.dispatcher import SourceDispatcher
from tracker.polling.policy import circuit_breaker, rate_limiter
from tracker.polling.policy.cadence import backoff
from tracker.polling.queues.background_queue import BackgroundQueue, E
from tracker.polling.watch_list import WatchList
from tracker.polling.watched_run import Failing, WatchedRun
from tracker.runtime.clock import Clock
from tracker.runtime.log_fields import of_run, of_source

logger = logging.getLogger("runfold.polling")

# A service may need a moment to know a run that it has just made.
MISSING_FOR_SECONDS = 5.0
REFUSALS_BEFORE_SET_ASIDE = 3
PROBE_SECONDS = 60.0
# Of an errand about one run.
TRIES = 6


class ErrorPolicy:
    """Takes in what failed. `vanish` is told of a run that the service knows no more.

    `jitter` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        roster: WatchList,
        clock: Clock,
        jitter: Callable[[], float],
        vanish: Callable[[WatchedRun], None],
    ) -> None:
        self._roster = roster
        self._clock = clock
        self._jitter = jitter
        self._vanish = vanish

    def of_source(self, gate: SourceDispatcher, error: RunfoldError, failures: int) -> float:
        """What it means for the limit and the breaker; gives the pause before the next try.

        `failures` is how many tries in a row did not come through, this one included.
        """
        now = self._clock.monotonic()
        gate.failures += 1
        gate.trouble, gate.troubled_at = error, self._clock.now()
        if isinstance(error, SourceError):
            gate.charge(error.requests - 1, now)
        if isinstance(error, RateLimited):
            gate.refusals += 1
            gate.limited += 1
            gate.limit = rate_limiter.refused(gate.limit, now, self._backoff(gate.limited, error))
        elif isinstance(error, (Unreachable, UnusableAnswer)):
            gate.breaker = circuit_breaker.failed(gate.breaker, now, self._jitter())
        elif isinstance(error, (NotFound, RequestRefused, Busy)):
            gate.answered()
        return self._backoff(failures, error)

    def of_errand(
        self,
        gate: SourceDispatcher,
        errands: BackgroundQueue[E],
        error: RunfoldError,
        failures: int,
    ) -> float:
        """What it means for its source that an errand failed; gives the pause as `of_source`.

        Errands alone may be what the service denies: polls go on, and find out about the rest.
        """
        pause, now = self.of_source(gate, error, failures), self._clock.monotonic()
        if isinstance(error, (KeyRefused, Misconfigured)):
            errands.held_until, errands.denied = now + PROBE_SECONDS, error
            if gate.refusing:
                gate.opens = now + PROBE_SECONDS
        return pause

    def of_try(
        self, errand: E, gate: SourceDispatcher, errands: BackgroundQueue[E], error: RunfoldError
    ) -> bool:
        """Has an errand about a run that failed go again in time; False where it is given up."""
        now, probed = self._clock.monotonic(), gate.refusing or gate.breaker.is_open
        pause = self.of_errand(gate, errands, error, errand.failures + 1)
        if not (probed or isinstance(error, (KeyRefused, Misconfigured))):
            errand.failures += 1
        if errand.failures >= TRIES or isinstance(error, (NotFound, RequestRefused, Misconfigured)):
            errands.drop(errand)
            return False
        errands.add(errand, now + pause)
        return True

    def of_look(self, watched: WatchedRun, gate: SourceDispatcher, error: RunfoldError) -> None:
        """What it means that a run could not be looked at: when it is, or that it no longer is."""
        failing = watched.failing = watched.failing or Failing(error)
        failing.trouble, failing.looks = error, failing.looks + 1
        pause = self.of_source(gate, error, failing.looks)
        now = self._clock.monotonic()
        if isinstance(error, RateLimited):
            self._roster.requeue(watched)
            return
        if isinstance(error, (KeyRefused, Misconfigured)):
            pause = PROBE_SECONDS
            if not gate.refusing:
                gate.refused_at = gate.troubled_at
            gate.opens, gate.refusing, gate.refusal = now + pause, True, error
            name = watched.source.name
            logger.warning("%s: not asked for a minute: %s", name, error, extra=of_source(name))
            for other in self._roster.all:
                if other.source is watched.source:
                    other.fail(error)
                    other.error = None
        elif isinstance(error, NotFound):
            if failing.missing_since is None:
                failing.missing_since = now
            if now - failing.missing_since >= MISSING_FOR_SECONDS:
                self._set_aside(watched, error)
                self._vanish(watched)
                return
            pause = MISSING_FOR_SECONDS + 0.1
        elif isinstance(error, RequestRefused):
            failing.refusals += 1
            if failing.refusals >= REFUSALS_BEFORE_SET_ASIDE:
                self._set_aside(watched, error)
                return
        elif isinstance(error, StoreError):
            logger.warning(
                "%s: not recorded, will be looked at again: %s",
                watched.stream,
                error,
                extra=of_run(watched.stream),
            )
        self._roster.schedule(watched, pause)

    def _set_aside(self, watched: WatchedRun, error: RunfoldError) -> None:
        logger.warning(
            "%s: no longer asked about: %s", watched.stream, error, extra=of_run(watched.stream)
        )
        self._roster.drop(watched)
        watched.fail(error)

    def _backoff(self, failures: int, error: RunfoldError) -> float:
        asked = error.retry_after if isinstance(error, PollAgain) else None
        return backoff(failures, asked=asked, jitter=self._jitter())
