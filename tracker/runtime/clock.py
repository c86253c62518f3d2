"""The clock port: nothing else in runfold asks the machine for the time."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of time, and a way to wait."""

    def now(self) -> datetime:
        """Returns the wall time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Returns seconds that never go backwards, from an arbitrary zero."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns after `seconds`."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
