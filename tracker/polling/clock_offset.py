"""By how much the clock of a service is ahead of ours, as the stamps of its runs tell."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple

from tracker.core.events import Change, Event
from tracker.core.moments import grain_of

# How fast two clocks that nobody adjusts drift apart, at most.
_DRIFT = 100e-6
# Bounds that are further apart tell no more of a run than its own stamps do.
_CLOSE_SECONDS = 1.0


class _Bounds(NamedTuple):
    """Seconds by which a clock is ahead, at least and at most, as known at a monotonic time."""

    least: float
    most: float
    known_at: float


class ClockOffset:
    """The bounds of one service's clock, narrowed by each stamp that two looks enclose.

    A change with a stamp happened at the stamp, or less than its grain later, by the service's
    clock, and between two looks by ours. `now` is in monotonic seconds.
    """

    def __init__(self) -> None:
        self._bounds: _Bounds | None = None

    def add(self, events: Iterable[Event], now: float) -> None:
        """Narrows the bounds by the stamps of events. Contradicting bounds start again."""
        for event in events:
            if not isinstance(event, Change) or event.occurred_at is None or event.inferred:
                continue
            if event.clock_was_set:
                self.forget()
            until = min(event.observed_at, event.not_after or event.observed_at)
            since, stamp = event.not_before, event.occurred_at
            if since is None or since > until:
                continue
            latest = stamp + timedelta(seconds=grain_of(stamp))
            least, most = (stamp - until).total_seconds(), (latest - since).total_seconds()
            known = self._at(now) or _Bounds(least, most, now)
            if max(least, known.least) <= min(most, known.most):
                least, most = max(least, known.least), min(most, known.most)
            self._bounds = _Bounds(least, most, now)

    def forget(self) -> None:
        """Drops the bounds, since our clock was set."""
        self._bounds = None

    def bounds(self, now: float) -> tuple[float, float] | None:
        """Returns the bounds in seconds; None while they are not close."""
        known = self._at(now)
        if known is None or known.most - known.least >= _CLOSE_SECONDS:
            return None
        return known.least, known.most

    def _at(self, now: float) -> _Bounds | None:
        known = self._bounds
        if known is None:
            return None
        drift = max(now - known.known_at, 0.0) * _DRIFT
        return _Bounds(known.least - drift, known.most + drift, now)
