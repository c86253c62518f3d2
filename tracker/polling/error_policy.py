"""The consequences of a failed request: for its source, and for the run that it was about."""

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
    UnreadableEvent,
    UnusableAnswer,
)
from tracker.polling.dispatcher import SourceDispatcher
from tracker.polling.policy import circuit_breaker, rate_limiter
from tracker.polling.policy.cadence import backoff
from tracker.polling.queues.background_queue import BackgroundQueue, RequestT
from tracker.polling.run_updates import RunUpdates
from tracker.polling.watch_list import WatchList
from tracker.polling.watched_run import PollFailures, WatchedRun
from tracker.runtime.clock import Clock
from tracker.runtime.log_fields import of_run, of_source

logger = logging.getLogger("runfold.polling")

# A service may need a moment to know a run that it has just created.
MISSING_FOR_SECONDS = 5.0
REFUSALS_BEFORE_SET_ASIDE = 3
PROBE_SECONDS = 60.0
# For a background request about one run.
MAX_TRIES = 6


class ErrorPolicy:
    """Applies failed requests to dispatchers and to runs. `jitter` returns numbers from 0 to 1."""

    def __init__(
        self,
        watch_list: WatchList,
        updates: RunUpdates,
        clock: Clock,
        jitter: Callable[[], float],
    ) -> None:
        self._watch_list = watch_list
        self._updates = updates
        self._clock = clock
        self._jitter = jitter

    def on_source_error(
        self, dispatcher: SourceDispatcher, error: RunfoldError, failures: int
    ) -> float:
        """Applies an error to the rate limit and the circuit breaker of its source.

        `failures` is the number of failed tries in a row, this one included. Returns the pause
        before the next try, in seconds.
        """
        now = self._clock.monotonic()
        dispatcher.failures += 1
        dispatcher.last_error, dispatcher.last_error_at = error, self._clock.now()
        if isinstance(error, SourceError):
            dispatcher.charge(error.requests - 1, now)
        if isinstance(error, RateLimited):
            dispatcher.refusals += 1
            dispatcher.refusals_in_a_row += 1
            hold = self._backoff(dispatcher.refusals_in_a_row, error)
            dispatcher.limit = rate_limiter.on_429(dispatcher.limit, now, hold)
        elif isinstance(error, UnusableAnswer) and error.is_complete:
            # One document says nothing about the service, except that it answers.
            dispatcher.on_success()
        elif isinstance(error, (Unreachable, UnusableAnswer)):
            breaker, jitter = dispatcher.breaker, self._jitter()
            dispatcher.breaker = circuit_breaker.on_failure(breaker, now, jitter)
        elif isinstance(error, (NotFound, RequestRefused, Busy)):
            dispatcher.on_success()
        return self._backoff(failures, error)

    def on_background_error(
        self,
        dispatcher: SourceDispatcher,
        queue: BackgroundQueue[RequestT],
        error: RunfoldError,
        failures: int,
    ) -> float:
        """Applies the error of a background request as `on_source_error` does; returns the pause.

        A service may deny this type of request alone. Then only its queue is held: polls continue,
        and find out about the rest.
        """
        pause = self.on_source_error(dispatcher, error, failures)
        now = self._clock.monotonic()
        if isinstance(error, (KeyRefused, Misconfigured)):
            queue.held_until, queue.denied = now + PROBE_SECONDS, error
            if dispatcher.is_refusing:
                dispatcher.probe_at = now + PROBE_SECONDS
        return pause

    def retry_or_drop(
        self,
        request: RequestT,
        dispatcher: SourceDispatcher,
        queue: BackgroundQueue[RequestT],
        error: RunfoldError,
    ) -> bool:
        """Reschedules a failed request about a run with backoff. Returns False if it was dropped.

        A try that probed a failing source does not count.
        """
        now = self._clock.monotonic()
        is_probe = dispatcher.is_refusing or dispatcher.breaker.is_open
        pause = self.on_background_error(dispatcher, queue, error, request.failures + 1)
        if not (is_probe or isinstance(error, (KeyRefused, Misconfigured))):
            request.failures += 1
        is_final = isinstance(error, (NotFound, RequestRefused, Misconfigured))
        if is_final or request.failures >= MAX_TRIES:
            queue.remove(request)
            return False
        queue.add(request, now + pause)
        return True

    def on_poll_error(
        self, watched: WatchedRun, dispatcher: SourceDispatcher, error: RunfoldError
    ) -> None:
        """Applies a failed poll: schedules the next poll of the run, or stops watching it."""
        failures = watched.failures = watched.failures or PollFailures(error)
        failures.last_error, failures.polls = error, failures.polls + 1
        pause = self.on_source_error(dispatcher, error, failures.polls)
        now = self._clock.monotonic()
        if isinstance(error, RateLimited):
            self._watch_list.requeue(watched)
            return
        if isinstance(error, (KeyRefused, Misconfigured)):
            pause = PROBE_SECONDS
            self._refuse_all(watched, dispatcher, error, now + pause)
        elif isinstance(error, NotFound):
            if failures.missing_since is None:
                failures.missing_since = now
            if now - failures.missing_since >= MISSING_FOR_SECONDS:
                self._set_aside(watched, error)
                self._updates.on_missing(watched)
                return
            pause = MISSING_FOR_SECONDS + 0.1
        elif isinstance(error, RequestRefused):
            failures.refusals += 1
            if failures.refusals >= REFUSALS_BEFORE_SET_ASIDE:
                self._set_aside(watched, error)
                return
        elif isinstance(error, UnreadableEvent):
            self._set_aside(watched, error)
            return
        elif isinstance(error, StoreError):
            stream = watched.stream
            logger.warning(
                "%s: not recorded, will poll again: %s", stream, error, extra=of_run(stream)
            )
        self._watch_list.schedule(watched, pause)

    def _refuse_all(
        self, watched: WatchedRun, dispatcher: SourceDispatcher, error: RunfoldError, until: float
    ) -> None:
        """Stops all requests to a source but for probes, and tells the waiting coroutines."""
        if not dispatcher.is_refusing:
            dispatcher.refusing_since = dispatcher.last_error_at
        dispatcher.is_refusing, dispatcher.refusal, dispatcher.probe_at = True, error, until
        name = watched.source.name
        logger.warning(
            "%s: requests are paused for %.0f s: %s",
            name,
            PROBE_SECONDS,
            error,
            extra=of_source(name),
        )
        for other in self._watch_list.runs:
            if other.source is watched.source:
                other.fail(error)
                other.error = None

    def _set_aside(self, watched: WatchedRun, error: RunfoldError) -> None:
        stream = watched.stream
        logger.warning("%s: no longer polled: %s", stream, error, extra=of_run(stream))
        self._watch_list.remove(watched)
        watched.fail(error)

    def _backoff(self, failures: int, error: RunfoldError) -> float:
        asked = error.retry_after if isinstance(error, PollAgain) else None
        return backoff(failures, asked=asked, jitter=self._jitter())
