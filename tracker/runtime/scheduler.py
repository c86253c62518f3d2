"""Regular jobs on the event loop. The only home of APScheduler."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from tracker.errors import SettingsError

TICK_SECONDS = 0.05
# The default grace time drops a job that comes late, and with it the polls it would make.
_JOB = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}


class Scheduler:
    """Runs coroutine functions at intervals on the running event loop.

    With an AsyncIOScheduler `given`, it adds its jobs to that, which is the giver's to start and
    to shut down. Raises SettingsError for another kind of scheduler.
    """

    def __init__(self, given: object | None = None) -> None:
        if given is not None and not isinstance(given, AsyncIOScheduler):
            raise SettingsError(
                f"scheduler has to be an APScheduler AsyncIOScheduler, not {type(given).__name__}"
            )
        self._is_ours = given is None
        self._scheduler = given or AsyncIOScheduler(timezone="UTC")
        # What the giver's own stores and executors take is theirs to choose.
        self._alias = self._place()
        self._scheduler.add_executor(AsyncIOExecutor(), self._alias)
        # It tells of each time that a job runs, which is twenty times a second.
        logging.getLogger(f"apscheduler.executors.{self._alias}").setLevel(logging.WARNING)
        self._jobs: list[Any] = []

    def _place(self) -> str:
        """A store for the jobs, under a name that no other tracker has taken."""
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
        *,
        at_once: bool = False,
    ) -> None:
        """Adds a job that runs every `seconds`, never twice at once; first after so many.

        `at_once`: first as soon as the scheduler runs. Safe for threads.
        """
        more: dict[str, Any] = {"jobstore": self._alias, "executor": self._alias}
        if at_once:
            more["next_run_time"] = datetime.now(UTC)
        self._jobs.append(
            self._scheduler.add_job(job, "interval", seconds=seconds, name=name, **more, **_JOB)
        )

    def start(self) -> None:
        """Starts the jobs; needs a running event loop."""
        if self._is_ours:
            self._scheduler.start()

    def stop(self) -> None:
        """Takes the jobs out without waiting for one that runs."""
        for job in self._jobs:
            # One that was shut down meanwhile has lost its jobs.
            with suppress(JobLookupError):
                job.remove()
        self._scheduler.remove_jobstore(self._alias)
        # Cancelled, a job that has just begun would be logged as one that failed.
        self._scheduler.remove_executor(self._alias, shutdown=False)
        if self._is_ours and self._scheduler.running:
            self._scheduler.shutdown(wait=False)
