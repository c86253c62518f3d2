"""Regular jobs on the event loop. The only home of APScheduler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from apscheduler.schedulers.asyncio import AsyncIOScheduler

TICK_SECONDS = 0.05


class Scheduler:
    """Runs coroutine functions at intervals on the running event loop."""

    def __init__(self) -> None:
        # The default grace time drops a job that comes late, and with it the polls it would make.
        self._scheduler = AsyncIOScheduler(
            timezone="UTC",
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def every(self, seconds: float, job: Callable[[], Awaitable[None]], name: str) -> None:
        """Adds a job that runs every `seconds`, never twice at once."""
        self._scheduler.add_job(job, "interval", seconds=seconds, name=name)

    def start(self) -> None:
        """Starts the jobs; needs a running event loop."""
        self._scheduler.start()

    def stop(self) -> None:
        """Stops the jobs without waiting for one that runs."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
