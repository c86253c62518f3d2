"""When a service that fails is left alone for a while. Pure: time and jitter are arguments."""

from __future__ import annotations

from typing import NamedTuple

_IN_A_ROW = 5
_WINDOW = 20
_LONGEST_SECONDS = 60.0


class CircuitBreaker(NamedTuple):
    """What came of the last requests to one service.

    `recent` has a bit for each of the last 20, set where it failed; `row` counts the failures in
    a row. `probes` counts how often it was opened since it was last closed, 0 while it is closed;
    while open nothing is asked before `opens`, in monotonic seconds, and then one thing.
    """

    recent: int = 0
    row: int = 0
    probes: int = 0
    opens: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the service is left alone but for a probe."""
        return self.probes > 0


def succeeded(breaker: CircuitBreaker) -> CircuitBreaker:
    """The breaker after an answer; one to a probe closes it and forgets what was."""
    if breaker.is_open:
        return CircuitBreaker()
    if not breaker.recent:
        return breaker
    return breaker._replace(recent=_shifted(breaker.recent), row=0)


def failed(breaker: CircuitBreaker, now: float, jitter: float) -> CircuitBreaker:
    """The breaker after a failure of the service; `jitter` is from 0 to 1.

    It opens after 5 in a row or more than half of 20, with full jitter from 1 second up to a
    bound that doubles with each probe that fails, at most 60 seconds.
    """
    recent, row = _shifted(breaker.recent) | 1, breaker.row + 1
    if not breaker.is_open and row < _IN_A_ROW and recent.bit_count() <= _WINDOW // 2:
        return breaker._replace(recent=recent, row=row)
    probes = breaker.probes + 1
    bound = min(2.0 ** min(probes, 6), _LONGEST_SECONDS)
    return CircuitBreaker(recent, row, probes, now + 1.0 + jitter * (bound - 1.0))


def _shifted(recent: int) -> int:
    return (recent << 1) & ((1 << _WINDOW) - 1)
