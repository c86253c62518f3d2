"""Backfill: records the runs of a thread that started before they were watched."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from tracker.core.events import RunEnded, RunStepRecorded, run_stream
from tracker.core.other_decisions import decide_steps
from tracker.core.snapshot import RunSnapshot, StepSnapshot
from tracker.core.state import UNKNOWN_VERSION, RunState, is_on_another_thread
from tracker.errors import (
    NotFound,
    PayloadError,
    RequestRefused,
    RunfoldError,
    SettingsError,
    UnusableAnswer,
)
from tracker.event_store import RecordedEvent
from tracker.ingest.payloads import check_source
from tracker.polling.requests.step_reads import parse_steps, union_of
from tracker.polling.watch_list import FIRST_POLL_SECONDS
from tracker.recording.observation import Observation, RecordResult
from tracker.runtime.log_fields import of_run, of_source
from tracker.session import Session
from tracker.sources.answer import Answer
from tracker.sources.source import RunListSource, Source, StepSource

logger = logging.getLogger("runfold.backfill")

Result = TypeVar("Result")


class Backfilled(NamedTuple):
    """The counts of a backfill."""

    # Runs of the thread.
    runs: int
    # New events, of which `steps` are steps.
    events: int
    steps: int
    # Runs that could not be recorded, or their steps; the log has the reasons.
    failed: int = 0


async def backfill(
    session: Session, thread_id: str, source: str | None, *, steps: bool, watch: bool
) -> Backfilled:
    """Records all runs of a thread; documented at `Tracker.backfill`."""
    origin = session.sources.named(source)
    if not isinstance(origin, RunListSource):
        raise SettingsError(
            f"the source {origin.name!r} cannot list all runs of a thread: watch its runs by their "
            "ids, or give it `fetch_runs`"
        )
    it = _Backfill(session, origin, thread_id, steps=steps, watch=watch)
    await it.run(origin)
    return Backfilled(len(it.found), it.events, it.steps, len(it.failed & it.found))


class _Backfill:
    """One backfill of a thread, and its counts so far."""

    def __init__(
        self, session: Session, source: Source, thread_id: str, *, steps: bool, watch: bool
    ) -> None:
        self.found: set[str] = set()
        self.failed: set[str] = set()
        self.events = self.steps = 0
        self._session = session
        self._source = source
        self._thread_id = thread_id
        self._reads_steps = steps
        self._watches = watch

    async def run(self, source: RunListSource) -> None:
        """Records all pages; the runs of one are recorded before the next is requested."""
        pages, after = self._session.backfill_pages, None
        cursors: set[str] = set()
        while True:
            ask = partial(source.fetch_runs, self._thread_id, after)
            try:
                answer, entries, after = await pages.fetch(self._source, ask)
            except NotFound as error:
                raise NotFound(
                    f"the source {self._source.name!r} knows no thread {self._thread_id}, so "
                    f"there are no runs to backfill: {error}"
                ) from error
            await self._record_page(answer, entries)
            if after is None:
                return
            _check_new(after, cursors)

    async def _record_page(self, answer: Answer, entries: Sequence[Mapping[str, Any]]) -> None:
        snapshots = []
        for entry in entries:
            run_id = str(entry.get("id"))
            self.found.add(run_id)
            try:
                check_source(self._source, entry)
                snapshots.append(
                    self._source.snapshot(
                        entry, observed_at=answer.observed_at, asked_at=answer.asked_at
                    ).on_thread(self._thread_id)
                )
            except RunfoldError as error:
                self._note_failure(run_id, error)
        results = await _gather(self._record(snapshot) for snapshot in snapshots)
        ended = [it for it in results if it is not None and it.state.is_ended]
        if self._reads_steps and isinstance(self._source, StepSource):
            run_ids = await self._find_without_steps(ended)
            await _gather(self._read_steps(self._source, run_id) for run_id in run_ids)

    async def _record(self, snapshot: RunSnapshot) -> RecordResult | None:
        commits, updates = self._session.commits, self._session.updates
        try:
            if (predecessor := Observation.of_predecessor(snapshot)) is not None:
                earlier = await commits.record(predecessor, patient=True)
                self.events += len(earlier.events)
                updates.on_state(predecessor.stream, earlier.state)
            observation = Observation.of(snapshot, UNKNOWN_VERSION)
            result = await commits.record(observation, patient=True)
        except PayloadError as error:
            self._note_failure(snapshot.run_id, error)
            return None
        self.events += len(result.events)
        if is_on_another_thread(result.state, self._thread_id):
            problem = f"{snapshot.run_id} is recorded on another thread, {result.state.thread_id}"
            self._note_failure(snapshot.run_id, PayloadError(problem))
            return None
        updates.on_state(result.stream, result.state)
        if self._watches and not result.state.is_ended:
            self._watch(result.state)
        return result

    def _watch(self, state: RunState) -> None:
        self._session.watch_list.watch(
            self._source, self._thread_id, state.run_id, state=state, after=FIRST_POLL_SECONDS
        )

    async def _find_without_steps(self, ended: Iterable[RecordResult]) -> list[str]:
        """Returns the ids of the runs without a step recorded since their end."""
        runs = {result.stream: result.state.run_id for result in ended}
        session = self._session
        histories = await session.threads.run(session.repository.read_many, list(runs))
        return [run_id for stream, run_id in runs.items() if not _has_steps(histories[stream])]

    async def _read_steps(self, source: StepSource, run_id: str) -> None:
        """Records the steps of a run in one transaction: a kill leaves all or none of them."""
        stream = run_stream(self._source.name, run_id)
        pages, after = self._session.backfill_pages, None
        cursors: set[str] = set()
        steps: list[StepSnapshot] = []
        try:
            while True:
                ask = partial(source.fetch_steps, self._thread_id, run_id, after)
                answer, entries, after = await pages.fetch(self._source, ask)
                steps += parse_steps(source, stream, entries)
                if after is None:
                    break
                _check_new(after, cursors)
            result = await self._session.commits.record(
                Observation(
                    stream,
                    lambda state: decide_steps(state, steps, answer.observed_at, self._thread_id),
                    peculiarities=union_of(steps),
                ),
                patient=True,
            )
        except (NotFound, RequestRefused, PayloadError) as error:
            self.failed.add(run_id)
            logger.warning(
                "%s: its steps are not recorded: %s", stream, error, extra=of_run(stream)
            )
            return
        self.events += len(result.events)
        self.steps += len(result.events)

    def _note_failure(self, run_id: str, error: RunfoldError) -> None:
        self.failed.add(run_id)
        logger.warning(
            "%s: a run of it is not recorded: %s",
            self._thread_id,
            error,
            extra=of_source(self._source.name),
        )


def _has_steps(history: Sequence[RecordedEvent]) -> bool:
    for entry in reversed(history):
        if isinstance(entry.event, RunStepRecorded | RunEnded):
            return isinstance(entry.event, RunStepRecorded)
    return False


def _check_new(after: str, cursors: set[str]) -> None:
    """Raises UnusableAnswer for a list that would repeat without end."""
    if after in cursors:
        raise UnusableAnswer(f"the service gives the same part of a list again, after {after!r}")
    cursors.add(after)


async def _gather(coroutines: Iterable[Coroutine[None, None, Result]]) -> list[Result]:
    """Returns the results of all; on an error, the others are cancelled before it is raised."""
    tasks = [asyncio.create_task(it) for it in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
