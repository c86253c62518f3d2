"""A circuit breaker that pauses the requests to a failing service."""

from __future__ import annotations

from typing import NamedTuple

_MAX_FAILURES_IN_A_ROW = 5
_WINDOW = 20
_LONGEST_SECONDS = 60.0


class CircuitBreaker(NamedTuple):
    """The state of the breaker of one service."""

    # One bit for each of the last 20 requests, set if it failed.
    recent: int = 0
    failures_in_a_row: int = 0
    # Times it opened since it was last closed; 0 while it is closed.
    probes: int = 0
    # While open, the next request (one, a probe) may be sent then; monotonic seconds.
    probe_at: float = 0.0

    @property
    def is_open(self) -> bool:
        """True if nothing but a probe may be sent."""
        return self.probes > 0


def on_success(breaker: CircuitBreaker) -> CircuitBreaker:
    """Returns the breaker after an answer; the answer to a probe closes and resets it."""
    if breaker.is_open:
        return CircuitBreaker()
    if not breaker.recent:
        return breaker
    return breaker._replace(recent=_shift(breaker.recent), failures_in_a_row=0)


def on_failure(breaker: CircuitBreaker, now: float, jitter: float) -> CircuitBreaker:
    """Returns the breaker after a failure of the service; `jitter` is from 0 to 1.

    It opens after 5 failures in a row or more than half of 20, with full jitter from 1 second up
    to a bound that doubles with each failed probe, at most 60 seconds.
    """
    recent, row = _shift(breaker.recent) | 1, breaker.failures_in_a_row + 1
    may_stay_closed = row < _MAX_FAILURES_IN_A_ROW and recent.bit_count() <= _WINDOW // 2
    if not breaker.is_open and may_stay_closed:
        return breaker._replace(recent=recent, failures_in_a_row=row)
    probes = breaker.probes + 1
    bound = min(2.0 ** min(probes, 6), _LONGEST_SECONDS)
    return CircuitBreaker(recent, row, probes, now + 1.0 + jitter * (bound - 1.0))


def _shift(recent: int) -> int:
    return (recent << 1) & ((1 << _WINDOW) - 1)
