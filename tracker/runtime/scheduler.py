"""Jobs of the application on the event loop, at intervals. The only home of APScheduler."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from tracker.errors import SettingsError
from tracker.runtime.clock import Clock

CLOCK_CHECK_SECONDS = 0.5
# Clocks that are kept by a time server are moved by less than this at once.
_TOLERANCE = timedelta(seconds=1)
# With the default grace time, a run of a job that is late would be dropped.
_JOB = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}


class Scheduler:
    """Runs coroutine functions at intervals on the running event loop.

    With an `external` AsyncIOScheduler, it adds its jobs to that; its owner starts it and shuts it
    down. Raises SettingsError for any other type of scheduler.
    """

    def __init__(self, clock: Clock, external: object | None = None) -> None:
        if external is not None and not isinstance(external, AsyncIOScheduler):
            raise SettingsError(
                "scheduler has to be an APScheduler AsyncIOScheduler, "
                f"not {type(external).__name__}"
            )
        self._is_ours = external is None
        self._scheduler = external or AsyncIOScheduler(timezone="UTC")
        # A store and an executor of our own: those of the owner may be unfit for our jobs.
        self._alias = self._add_jobstore()
        self._scheduler.add_executor(AsyncIOExecutor(), self._alias)
        # It logs each run of each job.
        logging.getLogger(f"apscheduler.executors.{self._alias}").setLevel(logging.WARNING)
        self._jobs: list[tuple[Any, timedelta]] = []
        self._clock = clock

    def _add_jobstore(self) -> str:
        """Adds a store for the jobs; returns its name, which no other tracker uses."""
        number = 1
        while True:
            try:
                self._scheduler.add_jobstore(MemoryJobStore(), f"runfold-{number}")
            except ValueError:
                number += 1
            else:
                return f"runfold-{number}"

    def every(
        self,
        seconds: float,
        job: Callable[[], Awaitable[None]],
        name: str,
    ) -> None:
        """Adds a job that runs as soon as the scheduler does, and then every `seconds`.

        It never runs twice at once. Safe for threads.
        """
        added = self._scheduler.add_job(
            job,
            "interval",
            seconds=seconds,
            name=name,
            next_run_time=self._clock.now(),
            jobstore=self._alias,
            executor=self._alias,
            **_JOB,
        )
        self._jobs.append((added, timedelta(seconds=seconds)))

    async def follow_clock(self) -> None:
        """Plans each job again that would rest longer than its interval.

        The wall clock, by which the jobs are planned, was set back.
        """
        now = self._clock.now()
        for job, interval in self._jobs:
            # One that was removed meanwhile, or whose scheduler was not started, has no next run.
            with suppress(JobLookupError, AttributeError):
                if job.next_run_time - now > interval + _TOLERANCE:
                    job.modify(next_run_time=now + interval)

    def start(self) -> None:
        """Starts the jobs; needs a running event loop."""
        if self._is_ours:
            self._scheduler.start()

    def stop(self) -> None:
        """Removes the jobs without waiting for one that is running."""
        for job, _ in self._jobs:
            # A scheduler that was shut down meanwhile has lost its jobs.
            with suppress(JobLookupError):
                job.remove()
        self._scheduler.remove_jobstore(self._alias)
        # An executor that shuts down cancels a running job, which would be logged as failed.
        self._scheduler.remove_executor(self._alias, shutdown=False)
        if self._is_ours and self._scheduler.running:
            self._scheduler.shutdown(wait=False)
