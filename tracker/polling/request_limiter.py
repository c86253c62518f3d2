"""The limiter of the requests to one source: its rate, its refusals and its circuit breaker."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime

from tracker.errors import RunfoldError
from tracker.polling.policy import circuit_breaker, rate_limiter
from tracker.polling.policy.circuit_breaker import CircuitBreaker
from tracker.polling.policy.rate_limiter import RateLimit
from tracker.polling.policy.refusals import Refusals, Verdict

# After a refusal that may be that of one run, another run tries so many seconds later, or so many
# requests: at a low rate, each is a large part of all.
_PROBE_OTHER_SECONDS, _PROBE_OTHER_REQUESTS = 2.0, 3.0
# A shorter pause says nothing, if another run is answered during it: a token may have come.
_TELLING_HOLD_SECONDS = 2.0
# A request that hangs does not keep a probe waiting for longer.
_HANGING_SECONDS = 10.0
# Answers are slow if they take this many times as long as the fastest, and a little.
_SLOW_ANSWER, _SLOW_ANSWER_SECONDS = 2.0, 0.03
_SMOOTHING, _FASTEST_DRIFT = 0.1, 0.001


@dataclass(slots=True)
class RequestLimiter:
    """Decides how many requests may be sent to one source now. Times are monotonic seconds."""

    # Rate: the limit, and the theoretical arrival time of the next request by it.
    limit: RateLimit
    arrival: float = -math.inf
    # Requests that are being answered now.
    in_flight: int = 0

    # Refusals of the rate. After one, single requests probe the source until one is answered; the
    # limit as it was before a cut that is in doubt.
    refusals: Refusals = field(default_factory=Refusals)
    refused_at: float = -math.inf
    needs_probe: bool = False
    is_probing: bool = False
    probed_at: float = -math.inf
    is_hold_asked: bool = False
    # Tries in a row that were refused; requests that were sent together are one.
    refused_tries: int = 0
    limit_before: RateLimit | None = None

    # Circuit breaker, and the refusal of all requests: for a wrong key, or a wrong address. While
    # refused, nothing but a probe is sent, not before `probe_at`.
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    is_refusing: bool = False
    refusal: RunfoldError | None = None
    refusing_since: datetime | None = None
    probe_at: float = -math.inf

    # Counters: requests sent; those answered with 429; all that failed, these included.
    sent: int = 0
    refused: int = 0
    failures: int = 0
    last_error: RunfoldError | None = None
    last_error_at: datetime | None = None
    answered_at: datetime | None = None

    # Seconds that answers take: the fastest, and now.
    fastest: float = math.inf
    usual: float = 0.0

    @property
    def rate(self) -> float:
        """The present rate, in requests a second."""
        return self.limit.rate

    @property
    def _accepted(self) -> int:
        return self.sent - self.refused - self.in_flight

    def allowance(self, now: float) -> int:
        """Returns the number of requests that may be sent now."""
        is_probe = self.is_refusing or self.breaker.is_open
        if is_probe and (self.in_flight or now < max(self.probe_at, self.breaker.probe_at)):
            return 0
        if self.needs_probe:
            hangs_from = max(self.refused_at, self.probed_at) + _HANGING_SECONDS
            if now < self._probes_at or (self.in_flight and now < hangs_from):
                return 0
            is_probe = True
        elif now < self.limit.held_until:
            return 0
        else:
            is_slow = self.usual > _SLOW_ANSWER * self.fastest + _SLOW_ANSWER_SECONDS
            self.limit = rate_limiter.increase(
                self.limit, now, self.sent, accepted=self._accepted, is_slow=is_slow
            )
        rate = self.limit.rate
        allowed = rate_limiter.allowance(self.arrival, now, rate, rate_limiter.burst(rate))
        return min(allowed, 1) if is_probe else allowed

    def count(self, now: float, requests: int = 1) -> None:
        """Counts requests that are sent."""
        if self.needs_probe and requests:
            self.is_probing, self.probed_at = True, now
        self.arrival = rate_limiter.consume(self.arrival, now, self.limit.rate, requests)
        self.sent += requests

    def charge(self, requests: int, now: float) -> None:
        """Counts the further requests of a source for one call."""
        for _ in range(requests):
            self.count(now)

    def on_success(self) -> None:
        """Applies that the service answered, whatever it said about the run."""
        self.is_refusing = False
        if self.breaker.recent:
            self.breaker = circuit_breaker.on_success(self.breaker)

    def on_answer(self, subject: str, now: float, seconds: float | None = None) -> None:
        """Applies an answer to a request about a subject that took so many seconds."""
        self.on_success()
        refused_tries, self.refused_tries = self.refused_tries, 0
        was_firm = self.refusals.are_firm
        if seconds is not None:
            self.fastest = min(self.fastest + _FASTEST_DRIFT * self.usual, max(seconds, 0.0))
            self.usual += _SMOOTHING * (seconds - self.usual)
        if self.refusals.on_answer(subject):
            self.limit_before = None
        if not self.is_probing:
            return
        held_until, self.needs_probe, self.is_probing = self.limit.held_until, False, False
        is_telling = self.is_hold_asked and held_until - self.refused_at > _TELLING_HOLD_SECONDS
        if is_telling and held_until > now:
            # The service wanted nothing before then, and answered this.
            self.refusals.acquit_all()
            self._undo_cut(now)
            self.limit = rate_limiter.released(self.limit, now, self.sent)
            return
        if was_firm:
            # The bucket of the source is empty now: a burst would be refused.
            rate = self.limit.rate
            self.arrival = max(self.arrival, now + rate_limiter.burst(rate) / rate)
        is_window = self.is_hold_asked or refused_tries > 1
        self.limit = rate_limiter.resumed(
            self.limit, now, self.sent, self._accepted, is_window=is_window
        )

    def on_refusal(
        self, subject: str, now: float, hold: float, *, is_asked: bool = True
    ) -> Verdict:
        """Applies a 429 to a request about a subject.

        `hold` is the pause in seconds; `is_asked` is true if the service asked for it.
        """
        self.refused += 1
        next_refused_tries = self.next_refused_tries
        # The service named this moment, and refuses at it: others use what it allows.
        is_crowded = self.is_probing and self.is_hold_asked
        self.is_probing = False
        before, verdict = self.limit, self.refusals.on_refusal(subject)
        if verdict == "own":
            if not self.refusals.is_cut_in_doubt:
                self._undo_cut(now)
            return verdict
        self.refused_tries = next_refused_tries
        if verdict == "doubt" and self.refusals.in_a_row == 1 and not self.needs_probe:
            # Others are answered, and what is refused more often than now and then cuts again.
            return verdict
        self.is_hold_asked = is_asked
        was_held, self.needs_probe, self.refused_at = self.needs_probe, True, now
        self.limit = rate_limiter.refused(self.limit, now, self._accepted, is_first=not was_held)
        if verdict == "doubt" or was_held:
            self.limit = rate_limiter.held(self.limit, now, hold)
            if was_held and is_crowded:
                self.limit = rate_limiter.cut(self.limit)
            return verdict
        self.limit = rate_limiter.on_429(self.limit, now, hold)
        if self.limit_before is None:
            self.limit_before = before
        return verdict

    @property
    def next_refused_tries(self) -> int:
        """The number of tries in a row that were refused, if the next answer is a refusal."""
        return self.refused_tries + (not self.needs_probe or self.is_probing)

    @property
    def _probes_at(self) -> float:
        held_until = self.limit.held_until
        if self.refusals.are_firm:
            return held_until
        pause = max(_PROBE_OTHER_SECONDS, _PROBE_OTHER_REQUESTS / self.limit.rate)
        return min(held_until, self.refused_at + self.refused_tries * pause)

    def _undo_cut(self, now: float) -> None:
        """Returns to the rate before a cut that was due to single runs alone."""
        before, self.limit_before = self.limit_before, None
        if before is None:
            return
        limit = self.limit
        self.limit = rate_limiter.released(limit, now, self.sent)._replace(
            rate=max(limit.rate, before.rate),
            refused_rate=before.refused_rate,
            # The pauses say nothing about the limit of the source.
            measured_from=None,
            refused_from=None,
            idle=0.0,
        )
