"""Jobs of an application on the scheduler that polls, at intervals and never twice at once."""

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

# What it gives is not asked for; an awaitable is awaited.
Job = Callable[[], object]


class _RegularJob:
    """One job, and the run of it that is under way."""

    def __init__(self, seconds: float, job: Job, name: str) -> None:
        self.seconds, self.name = seconds, name
        self.under_way: asyncio.Task[None] | None = None
        self._job = job
        self._thread: ExitSafeExecutor | None = None

    async def begin(self) -> None:
        """Begins a run, unless the one before goes on."""
        if self.under_way is None or self.under_way.done():
            self.under_way = asyncio.create_task(self._run())

    def close(self) -> None:
        """Gives the thread up, without waiting for what it still does."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None

    async def _run(self) -> None:
        try:
            if inspect.iscoroutinefunction(self._job):
                await self._job()
                return
            if self._thread is None:
                # Of its own: those that record what polls bring are not to wait for it.
                self._thread = ExitSafeExecutor(1, thread_name_prefix=f"runfold-{self.name}")
            run = contextvars.copy_context().run
            loop = asyncio.get_running_loop()
            result = await loop.run_in_executor(self._thread, run, self._job)
            if inspect.isawaitable(result):
                await result
        except Exception as error:
            logger.error(
                "the job %r failed, and runs again in its turn: %s",
                self.name,
                error,
                exc_info=not isinstance(error, RunfoldError),
            )


class Jobs:
    """The jobs of one tracker, which run while it is started. `every` is safe for threads."""

    def __init__(self) -> None:
        self._jobs: list[_RegularJob] = []
        self._scheduler: Scheduler | None = None
        self._lock = Lock()

    def every(self, seconds: float, job: Job, name: str | None) -> None:
        """Adds a job. Raises SettingsError for one that cannot be run so."""
        if not callable(job):
            raise SettingsError(
                f"a job has to be a function without arguments, not a {type(job).__name__}: "
                "hand it over without calling it, as in every(60, views.catch_up)"
            )
        if not 0 < seconds < float("inf"):
            raise SettingsError(f"a job cannot run every {seconds!r} seconds: say more than 0")
        name = name or str(getattr(job, "__name__", type(job).__name__))
        regular = _RegularJob(seconds, job, name)
        with self._lock:
            self._jobs.append(regular)
            if self._scheduler is not None:
                self._schedule(self._scheduler, regular)

    def start(self, scheduler: Scheduler) -> None:
        """Has all jobs run once that scheduler does."""
        with self._lock:
            self._scheduler = scheduler
            for job in self._jobs:
                self._schedule(scheduler, job)

    async def stop(self) -> None:
        """Lets jobs that are under way finish, for half a minute, and begins no other."""
        with self._lock:
            scheduler, self._scheduler = self._scheduler, None
            jobs = list(self._jobs)
        if scheduler is None:
            return
        under_way = {job.under_way: job for job in jobs if job.under_way is not None}
        try:
            late = (await asyncio.wait(under_way, timeout=STOP_SECONDS))[1] if under_way else set()
            for task in late:
                logger.warning("the job %r is not waited for any longer", under_way[task].name)
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
            for job in jobs:
                job.under_way = None
                job.close()

    def _schedule(self, scheduler: Scheduler, job: _RegularJob) -> None:
        async def begin() -> None:
            if self._scheduler is scheduler:
                await job.begin()

        scheduler.every(job.seconds, begin, job.name, at_once=True)
