"""Periodic jobs of the application, on a scheduler."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Callable
from threading import Lock

from tracker.errors import RunfoldError, SettingsError
from tracker.runtime.scheduler import Scheduler
from tracker.runtime.worker_threads import ExitSafeExecutor

logger = logging.getLogger("runfold.jobs")

STOP_SECONDS = 30.0

# A function or coroutine function without arguments; its result is ignored.
Job = Callable[[], object]


class _PeriodicJob:
    """A job, and its run that has not finished yet, if any."""

    def __init__(self, seconds: float, job: Job, name: str) -> None:
        self.seconds, self.name = seconds, name
        self.current_run: asyncio.Task[None] | None = None
        self._job = job
        self._thread: ExitSafeExecutor | None = None

    async def start_run(self) -> None:
        """Starts a run, unless the previous one has not finished."""
        if self.current_run is None or self.current_run.done():
            self.current_run = asyncio.create_task(self._run())

    def close(self) -> None:
        """Releases the thread, without waiting for a run that has not finished."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None

    async def _run(self) -> None:
        try:
            if inspect.iscoroutinefunction(self._job):
                await self._job()
                return
            if self._thread is None:
                # A thread of its own: the shared ones record what polls bring, and must not wait.
                self._thread = ExitSafeExecutor(1, thread_name_prefix=f"runfold-{self.name}")
            run = contextvars.copy_context().run
            loop = asyncio.get_running_loop()
            result = await loop.run_in_executor(self._thread, run, self._job)
            if inspect.isawaitable(result):
                await result
        except Exception as error:
            logger.error(
                "the job %r failed, and runs again when it is next due: %s",
                self.name,
                error,
                exc_info=not isinstance(error, RunfoldError),
            )


class Jobs:
    """The periodic jobs of one tracker, which run while it is open. `every` is safe for threads."""

    def __init__(self) -> None:
        self._jobs: list[_PeriodicJob] = []
        self._scheduler: Scheduler | None = None
        self._lock = Lock()

    def every(self, seconds: float, job: Job, name: str | None) -> None:
        """Adds a job. Raises SettingsError for one that cannot be run at intervals."""
        if not callable(job):
            raise SettingsError(
                f"a job has to be a function without arguments, not a {type(job).__name__}: "
                "pass it without calling it, as in every(60, views.catch_up)"
            )
        if not 0 < seconds < float("inf"):
            raise SettingsError(
                f"a job cannot run every {seconds!r} seconds: the interval has to be above 0"
            )
        name = name or str(getattr(job, "__name__", type(job).__name__))
        periodic = _PeriodicJob(seconds, job, name)
        with self._lock:
            self._jobs.append(periodic)
            if self._scheduler is not None:
                self._schedule(self._scheduler, periodic)

    def start(self, scheduler: Scheduler) -> None:
        """Adds all jobs to a scheduler."""
        with self._lock:
            self._scheduler = scheduler
            for job in self._jobs:
                self._schedule(scheduler, job)

    async def stop(self) -> None:
        """Lets runs that have started finish, for half a minute, and starts no other."""
        with self._lock:
            scheduler, self._scheduler = self._scheduler, None
            jobs = list(self._jobs)
        if scheduler is None:
            return
        runs = {job.current_run: job for job in jobs if job.current_run is not None}
        try:
            late = (await asyncio.wait(runs, timeout=STOP_SECONDS))[1] if runs else set()
            for run in late:
                logger.warning(
                    "the job %r has not finished in %.0f s and is cancelled",
                    runs[run].name,
                    STOP_SECONDS,
                )
        finally:
            for run in runs:
                run.cancel()
            await asyncio.gather(*runs, return_exceptions=True)
            for job in jobs:
                job.current_run = None
                job.close()

    def _schedule(self, scheduler: Scheduler, job: _PeriodicJob) -> None:
        async def start_run() -> None:
            if self._scheduler is scheduler:
                await job.start_run()

        scheduler.every(job.seconds, start_run, job.name)
