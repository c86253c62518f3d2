"""Simulated time: unix seconds that pass faster, slower, or only when a test says so."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from tracker.errors import SettingsError


class SimulatedClock(Protocol):
    """What time it is in the simulation."""

    def now(self) -> float:
        """Unix seconds; never runs backwards."""
        ...


class SpeedClock:
    """Runs at `speed` times the machine's clock, from `start` (unix seconds; now, by default)."""

    def __init__(self, speed: float = 1.0, start: float | None = None) -> None:
        if not speed > 0:
            raise SettingsError(f"speed must be above 0, not {speed}")
        self.speed = speed
        self.start = time.time() if start is None else start
        self._zero = time.monotonic()

    def now(self) -> float:
        return self.start + self.speed * (time.monotonic() - self._zero)


class ManualClock:
    """Stands still until it is advanced; may be advanced from any thread."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> float:
        """Moves the clock forward by `seconds` and returns the new time."""
        if seconds < 0:
            raise SettingsError(f"a clock does not run backwards: {seconds} s")

        with self._lock:
            self._now += seconds
            return self._now
