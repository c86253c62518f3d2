"""Simulated time in unix seconds: scaled, or advanced by hand."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from tracker.errors import SettingsError


class SimulatedClock(Protocol):
    """The time of a simulation."""

    def now(self) -> float:
        """Returns the time in unix seconds; never decreases."""
        ...


class SpeedClock:
    """A clock that runs `speed` times as fast as real time.

    `start` is in unix seconds, the current time by default. Raises SettingsError for a `speed`
    that is not above 0.
    """

    def __init__(self, speed: float = 1.0, start: float | None = None) -> None:
        if not speed > 0:
            raise SettingsError(f"speed must be above 0, not {speed}")
        self.speed = speed
        self.start = time.time() if start is None else start
        self._zero = time.monotonic()

    def now(self) -> float:
        return self.start + self.speed * (time.monotonic() - self._zero)


class ManualClock:
    """A clock that moves only by `advance`, from any thread."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> float:
        """Moves the clock forward by `seconds` (not below 0) and returns the new time."""
        if seconds < 0:
            raise SettingsError(f"a clock cannot be moved backwards: {seconds} s")

        with self._lock:
            self._now += seconds
            return self._now
