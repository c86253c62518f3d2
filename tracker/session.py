"""The parts of an open tracker, and finding runs by their ids in them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tracker.core.events import run_stream
from tracker.core.identifiers import LONGEST_ID, is_identifier
from tracker.core.state import RunState, is_on_another_thread
from tracker.errors import RunfoldError, SettingsError, UnknownRun, WaitTimeout
from tracker.event_store import RecordedEvent
from tracker.polling.dispatcher import source_status
from tracker.polling.metrics import Counters, SourceCounts
from tracker.polling.overdue import OverdueAudit
from tracker.polling.requests.backfill_pages import BackfillPages
from tracker.polling.requests.discovery import Discovery
from tracker.polling.requests.step_reads import StepReads
from tracker.polling.run_updates import RunUpdates
from tracker.polling.source_status import SourceStatus
from tracker.polling.watch_list import WatchList
from tracker.polling.watched_run import WatchedRun
from tracker.recording.group_commit import GroupCommit
from tracker.recording.repository import RunRepository
from tracker.runtime.clock import Clock
from tracker.runtime.worker_threads import WorkerThreads
from tracker.sources.registry import SourceRegistry
from tracker.sources.source import CheckingSource, Source
from tracker.webhooks import ReplayGuard

Until = Literal["ended", "actionable"]
_CONDITIONS: dict[str, Callable[[RunState], bool]] = {
    "ended": lambda state: state.is_ended,
    "actionable": lambda state: state.is_ended or state.needs_action,
    "seen": lambda state: state.status is not None,
}


@dataclass(frozen=True, slots=True)
class Session:
    """The parts of an open tracker. The methods' promises are documented at `Tracker`."""

    sources: SourceRegistry
    clock: Clock
    repository: RunRepository
    commits: GroupCommit
    threads: WorkerThreads
    # The watched runs, and the updates to them that do not come from a poll.
    watch_list: WatchList
    updates: RunUpdates
    # Requests that the poller sends behind its polls.
    step_reads: StepReads
    discovery: Discovery
    backfill_pages: BackfillPages
    overdue: OverdueAudit
    counters: Counters
    # The event loop that polls; calls from other threads are handed to it.
    loop: asyncio.AbstractEventLoop
    replays: ReplayGuard = field(default_factory=ReplayGuard)

    async def watch(self, thread_id: str | None, run_id: str, source: str | None) -> None:
        """Watches a run until it ends."""
        origin = self.sources.named(source)
        for name, value in (("run", run_id), ("thread", thread_id)):
            if (value and not is_identifier(value)) or (name == "run" and not value):
                raise SettingsError(
                    f"{str(value)[:80]!r} cannot be the id of a {name}: an id has up to "
                    f"{LONGEST_ID:,} characters, a visible one and no control character"
                )
        state = await self.state(run_stream(origin.name, run_id))
        if is_on_another_thread(state, thread_id):
            raise SettingsError(
                f"{run_id} is not watched on {thread_id}: a run with this id is recorded on "
                f"{state.thread_id}; give each service, or session, a source of its own"
            )
        if not state.is_ended:
            _check_ids(origin, thread_id or state.thread_id, run_id)
            self.watch_list.watch(origin, thread_id, run_id, state=state)

    async def wait(
        self, run_id: str, timeout: float | None, until: Until, source: str | None
    ) -> RunState:
        """Returns the state of a run once it has reached the condition."""
        watched, state = await self._find(run_id, source)
        if watched is None:
            return state
        return await self.wait_until(watched, until, timeout, f"{run_id} was not {until}")

    async def wait_until(
        self, watched: WatchedRun, until: str, timeout: float | None, missed: str
    ) -> RunState:
        """Returns the state of a watched run once it has reached the condition.

        Raises WaitTimeout after `timeout` seconds; its message begins with `missed`.
        """
        try:
            async with asyncio.timeout(timeout):
                return await watched.wait_for(_CONDITIONS[until])
        except TimeoutError:
            known = self.watch_list.find(watched.stream) or watched
            error = known.last_error
            raise WaitTimeout(
                f"{missed} within {timeout} s: it is "
                f"{known.state.status or 'not seen yet'}, and stays watched"
                f"{f'; the last poll failed: {error}' if error else ''}"
            ) from error

    async def state(self, stream: str) -> RunState:
        """Returns the recorded state of a run; the initial one if nothing is recorded."""
        return await self.commits.state(stream)

    def history(self, run_id: str, source: str | None) -> list[RecordedEvent]:
        """Returns the events of a run, oldest first."""
        for name in [source] if source else list(self.sources):
            if recorded := self.repository.read(run_stream(name, run_id)):
                return recorded
        raise UnknownRun(f"nothing was ever recorded of {run_id}: watch it, or observe it")

    def counts(self) -> dict[str, SourceCounts]:
        """Returns the counts of each source."""
        return self.counters.source_counts(self.sources_status(), self.watch_list.runs)

    def troubles(self) -> dict[str, RunfoldError]:
        """Returns the error of each run whose last poll failed or that is set aside."""
        troubles = {
            watched.run_id: watched.last_error
            for watched in self.watch_list.runs
            if watched.last_error is not None
        }
        return troubles | self.watch_list.set_aside_errors

    def sources_status(self) -> dict[str, SourceStatus]:
        """Returns the status of each source."""
        now = self.clock.monotonic()
        return {
            name: self.counters.add_counts(
                name, source_status(self.watch_list.dispatcher(source), now)
            )
            for name, source in self.sources.items()
        }

    async def _find(self, run_id: str, source: str | None) -> tuple[WatchedRun | None, RunState]:
        for name in [source] if source else list(self.sources):
            stream = run_stream(name, run_id)
            if watched := self.watch_list.find(stream):
                return watched, watched.state
            state = await self.state(stream)
            if state.is_ended:
                return None, state
            if state.status is not None:
                origin = self.sources.named(name)
                watched = self.watch_list.watch(origin, state.thread_id, run_id, state=state)
                return watched, state
        raise UnknownRun(f"{run_id} is neither watched nor recorded: watch it first")


def _check_ids(source: Source, thread_id: str | None, run_id: str) -> None:
    """Raises SettingsError for a run that a source can never be asked about."""
    if not isinstance(source, CheckingSource):
        return
    try:
        source.check_ids(thread_id, run_id)
    except RunfoldError:
        raise
    except Exception as error:
        # A source may be the application's own.
        raise SettingsError(
            f"{run_id} is not watched: check_ids of the source {source.name!r} raised "
            f"{type(error).__name__}: {error}"
        ) from error
