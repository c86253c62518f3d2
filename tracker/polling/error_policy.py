"""The consequences of a failed request: for its source, and for the run that it was about."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tracker.core.events import run_stream
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
    StoreUnavailable,
    Unreachable,
    UnreadableEvent,
    UnusableAnswer,
)
from tracker.polling.dispatcher import SourceDispatcher
from tracker.polling.policy import circuit_breaker
from tracker.polling.policy.cadence import backoff
from tracker.polling.queues.background_queue import BackgroundQueue, BackgroundRequest, RequestT
from tracker.polling.request_limiter import RequestLimiter
from tracker.polling.run_updates import RunUpdates
from tracker.polling.watch_list import SECOND_LOOK_SECONDS, WatchList
from tracker.polling.watched_run import PollFailures, WatchedRun
from tracker.runtime.clock import Clock
from tracker.runtime.log_fields import of_run, of_source

logger = logging.getLogger("runfold.polling")

# A service may need a moment to know a run that it has just created.
MISSING_FOR_SECONDS = 5.0
# A gateway may refuse everything for a moment.
REFUSALS_BEFORE_SET_ASIDE, REFUSED_FOR_SECONDS = 3, 60.0
PROBE_SECONDS = 60.0
# Where a service does not say how long its refusal lasts.
LONGEST_GUESSED_HOLD, GUESSED_REQUESTS = 20.0, 6.0
_MOST_DOUBLINGS = 3
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
        self, dispatcher: SourceDispatcher, error: RunfoldError, failures: int, subject: str
    ) -> float:
        """Applies an error to the rate limit and the circuit breaker of its source.

        `failures` is the number of failed tries in a row, this one included; `subject` names the
        run or the request that was sent. Returns the pause before the next try, in seconds.
        """
        now, limiter = self._clock.monotonic(), dispatcher.limiter
        if isinstance(error, StoreError):
            # The service has answered: what our database does says nothing about it.
            limiter.is_probing = False
            return self._backoff(failures, error)
        limiter.failures += 1
        limiter.last_error, limiter.last_error_at = error, self._clock.now()
        if isinstance(error, SourceError):
            limiter.charge(error.requests - 1, now)
        if isinstance(error, RateLimited):
            return self._on_refusal(limiter, error, subject)
        limiter.is_probing = False
        if isinstance(error, UnusableAnswer) and error.is_complete:
            # One document says nothing about the service, except that it answers.
            limiter.on_answer(subject, now)
        elif isinstance(error, (Unreachable, UnusableAnswer)):
            breaker, jitter = limiter.breaker, self._jitter()
            limiter.breaker = circuit_breaker.on_failure(breaker, now, jitter)
        elif isinstance(error, (NotFound, RequestRefused, Busy)):
            limiter.on_answer(subject, now)
        return self._backoff(failures, error)

    def on_background_error(
        self,
        dispatcher: SourceDispatcher,
        queue: BackgroundQueue[RequestT],
        error: RunfoldError,
        request: BackgroundRequest,
    ) -> float:
        """Applies the error of a background request as `on_source_error` does; returns the pause.

        A service may deny this type of request alone. Then only its queue is held: polls continue,
        and find out about the rest.
        """
        pause = self.on_source_error(dispatcher, error, max(request.failures, 1), request.subject)
        now = self._clock.monotonic()
        request.held_until = now + _asked_pause(error)
        if isinstance(error, (KeyRefused, Misconfigured)):
            queue.held_until, queue.denied = now + PROBE_SECONDS, error
            if dispatcher.limiter.is_refusing:
                dispatcher.limiter.probe_at = now + PROBE_SECONDS
        return pause

    def retry_later(
        self,
        request: RequestT,
        dispatcher: SourceDispatcher,
        queue: BackgroundQueue[RequestT],
        error: RunfoldError,
    ) -> None:
        """Reschedules a failed request about a run with backoff.

        One that was denied, or failed six times in a row, is postponed: tried again after 1, 10
        and 60 minutes, then each hour, for a day. A try that probed a failing source does not
        count, nor one that was refused for the rate.
        """
        now, limiter = self._clock.monotonic(), dispatcher.limiter
        is_probe = limiter.is_refusing or limiter.breaker.is_open
        request.failures += 1
        pause = self.on_background_error(dispatcher, queue, error, request)
        is_delay = isinstance(error, (KeyRefused, RateLimited, StoreUnavailable))
        if is_probe or is_delay:
            request.failures -= 1
        elif isinstance(error, (NotFound, RequestRefused, Misconfigured)):
            request.failures = max(request.failures, MAX_TRIES)
        if request.failures >= MAX_TRIES:
            self._postpone(request, dispatcher, error)
            looks = min(request.failures - MAX_TRIES, len(SECOND_LOOK_SECONDS) - 1)
            pause = max(pause, SECOND_LOOK_SECONDS[looks])
        if now + pause > request.until:
            dispatcher.give_up(queue, request)
            stream = run_stream(request.source.name, request.key)
            message = "%s: its %s is given up: %s"
            logger.warning(message, stream, request.title, error, extra=of_run(stream))
        else:
            queue.add(request, now + pause)

    def on_poll_error(
        self, watched: WatchedRun, dispatcher: SourceDispatcher, error: RunfoldError
    ) -> None:
        """Applies a failed poll: schedules the next poll of the run, or stops watching it."""
        failures = watched.failures = watched.failures or PollFailures(error)
        failures.last_error = error
        if isinstance(error, RateLimited):
            pause = self.on_source_error(dispatcher, error, failures.polls, watched.subject)
            if not dispatcher.limiter.refusals.is_own(watched.subject):
                failures.turn = watched.due
            watched.held_until = self._clock.monotonic() + _asked_pause(error)
            self._watch_list.schedule(watched, pause)
            return
        failures.polls += 1
        pause = self.on_source_error(dispatcher, error, failures.polls, watched.subject)
        now = self._clock.monotonic()
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
            if failures.refused_since is None:
                failures.refused_since = now
            is_over = now - failures.refused_since >= REFUSED_FOR_SECONDS
            if is_over and failures.refusals >= REFUSALS_BEFORE_SET_ASIDE:
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
        watched.held_until = now + _asked_pause(error)
        self._watch_list.schedule(watched, pause)

    def _postpone(
        self, request: BackgroundRequest, dispatcher: SourceDispatcher, error: RunfoldError
    ) -> None:
        if request not in dispatcher.postponed:
            stream = run_stream(request.source.name, request.key)
            message = "%s: its %s failed, and is tried again later: %s"
            logger.info(message, stream, request.title, error, extra=of_run(stream))
        dispatcher.postponed[request] = error

    def _refuse_all(
        self, watched: WatchedRun, dispatcher: SourceDispatcher, error: RunfoldError, until: float
    ) -> None:
        """Stops all requests to a source but for probes, and tells the waiting coroutines."""
        limiter = dispatcher.limiter
        if not limiter.is_refusing:
            limiter.refusing_since = limiter.last_error_at
        limiter.is_refusing, limiter.refusal, limiter.probe_at = True, error, until
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
        minutes = round(SECOND_LOOK_SECONDS[0] / 60)
        logger.warning(
            "%s: set aside, and polled again in %d minute: %s",
            stream,
            minutes,
            error,
            extra=of_run(stream),
        )
        self._watch_list.set_aside(watched, error)
        watched.fail(error)

    def _on_refusal(self, limiter: RequestLimiter, error: RateLimited, subject: str) -> float:
        """Applies a 429; returns the pause before its subject is asked about again."""
        refusals, now = limiter.refusals, self._clock.monotonic()
        # Never at once: a source that refuses gets one request after each pause.
        jitter = 0.5 + 0.5 * self._jitter()
        hold = backoff(limiter.next_refused_tries + 1, asked=error.retry_after, jitter=jitter)
        if error.retry_after is not None:
            tries = limiter.next_refused_tries
            if limiter.limit.part < 1.0 or tries > 1:
                # Others who send to the source were told the same moment.
                spread = self._jitter() * 2.0 ** min(tries - 1, _MOST_DOUBLINGS) / limiter.rate
                hold += min(spread, LONGEST_GUESSED_HOLD)
        else:
            # At a low rate, each of these requests is a large part of all.
            hold = min(max(hold, jitter * GUESSED_REQUESTS / limiter.rate), LONGEST_GUESSED_HOLD)
        verdict = limiter.on_refusal(subject, now, hold, is_asked=error.retry_after is not None)
        if verdict == "own":
            return max(self._backoff(refusals.times(subject), error), 1.0)
        return hold

    def _backoff(self, failures: int, error: RunfoldError) -> float:
        asked = error.retry_after if isinstance(error, PollAgain) else None
        return backoff(failures, asked=asked, jitter=self._jitter())


def _asked_pause(error: RunfoldError) -> float:
    """Returns the seconds that the service asked to wait, two minutes at most; 0 if it did not."""
    asked = error.retry_after if isinstance(error, PollAgain) else None
    return 0.0 if asked is None else backoff(1, asked=asked, jitter=0.0)
