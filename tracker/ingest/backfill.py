"""Backfill: the runs of a thread that began before anybody watched, brought into histories."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from tracker.core.events import RunEnded, RunStepRecorded, run_stream
from tracker.core.other_decisions import decide_steps
from tracker.core.snapshot import RunSnapshot, StepSnapshot
from tracker.core.state import RunState
from tracker.errors import (
    NotFound,
    PayloadError,
    RequestRefused,
    RunfoldError,
    SettingsError,
    UnusableAnswer,
)
from tracker.event_store import RecordedEvent
from tracker.polling.requests.step_reads import parse_steps
from tracker.polling.watch_list import FIRST_POLL_SECONDS
from tracker.recording.observation import Observation, RecordResult
from tracker.runtime.log_fields import of_run, of_source
from tracker.session import Session
from tracker.sources.answer import Answer
from tracker.sources.source import RunListSource, Source, StepSource

logger = logging.getLogger("runfold.backfill")

Result = TypeVar("Result")


class Backfilled(NamedTuple):
    """What a backfill came to: `runs` that the thread has, and what was new of them.

    `events` counts the new ones, of which `steps` are steps. Of `failed` runs the run, or its
    steps, could not be recorded; the log says why.
    """

    runs: int
    events: int
    steps: int
    failed: int = 0


async def backfill(
    session: Session, thread_id: str, source: str | None, *, steps: bool, watch: bool
) -> Backfilled:
    """Records all runs of a thread; what is promised is said at `Tracker.backfill`."""
    origin = session.sources.named(source)
    if not isinstance(origin, RunListSource):
        raise SettingsError(
            f"the source {origin.name!r} cannot list all runs of a thread: watch its runs by their "
            "ids, or give it `fetch_runs`"
        )
    reading = _Backfill(session, origin, thread_id, steps=steps, watch=watch)
    await reading.read(origin)
    return Backfilled(
        len(reading.found), reading.events, reading.steps, len(reading.failed & reading.found)
    )


class _Backfill:
    """One going through the runs of a thread, and what it came to."""

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

    async def read(self, source: RunListSource) -> None:
        """Goes through all pages: the runs of one are recorded before the next is asked for."""
        pages, after = self._session.backfill_pages, None
        passed: set[str] = set()
        while True:
            ask = partial(source.fetch_runs, self._thread_id, after)
            try:
                answer, entries, after = await pages.fetch(self._source, ask)
            except NotFound as error:
                raise NotFound(
                    f"the source {self._source.name!r} knows no thread {self._thread_id}, so "
                    f"there are no runs to backfill: {error}"
                ) from error
            await self._take_in(answer, entries)
            if after is None:
                return
            _check_new(after, passed)

    async def _take_in(self, answer: Answer, entries: Sequence[Mapping[str, Any]]) -> None:
        snapshots = []
        for entry in entries:
            run_id = str(entry.get("id"))
            self.found.add(run_id)
            try:
                snapshots.append(
                    self._source.snapshot(
                        entry, observed_at=answer.observed_at, asked_at=answer.asked_at
                    )
                )
            except RunfoldError as error:
                self._refused(run_id, error)
        recorded = await _all(self._record(snapshot) for snapshot in snapshots)
        ended = [it for it in recorded if it is not None and it.state.is_ended]
        if self._reads_steps and isinstance(self._source, StepSource):
            lacking = await self._without_steps(ended)
            await _all(self._read_steps(self._source, run_id) for run_id in lacking)

    async def _record(self, snapshot: RunSnapshot) -> RecordResult | None:
        commits, updates = self._session.commits, self._session.updates
        try:
            if (before := Observation.of_predecessor(snapshot)) is not None:
                earlier = await commits.record(before)
                self.events += len(earlier.events)
                updates.on_state(before.stream, earlier.state)
            observed = await commits.record(Observation.of(snapshot))
        except PayloadError as error:
            self._refused(snapshot.run_id, error)
            return None
        self.events += len(observed.events)
        updates.on_state(observed.stream, observed.state)
        if self._watches and not observed.state.is_ended:
            self._watch(observed.state)
        return observed

    def _watch(self, state: RunState) -> None:
        self._session.watch_list.watch(
            self._source, self._thread_id, state.run_id, state=state, after=FIRST_POLL_SECONDS
        )

    async def _without_steps(self, ended: Iterable[RecordResult]) -> list[str]:
        """The runs of which no step is recorded since their end."""
        runs = {result.stream: result.state.run_id for result in ended}
        read = await asyncio.to_thread(self._session.repository.read_many, list(runs))
        return [run_id for stream, run_id in runs.items() if not _has_steps(read[stream])]

    async def _read_steps(self, source: StepSource, run_id: str) -> None:
        """Records the steps of a run, all at once: a kill leaves all or none of them."""
        stream = run_stream(self._source.name, run_id)
        pages, after = self._session.backfill_pages, None
        passed: set[str] = set()
        seen: list[StepSnapshot] = []
        try:
            while True:
                ask = partial(source.fetch_steps, self._thread_id, run_id, after)
                answer, entries, after = await pages.fetch(self._source, ask)
                seen += parse_steps(source, stream, entries)
                if after is None:
                    break
                _check_new(after, passed)
            observed = await self._session.commits.record(
                Observation(stream, lambda state: decide_steps(state, seen, answer.observed_at))
            )
        except (NotFound, RequestRefused, PayloadError) as error:
            self.failed.add(run_id)
            logger.warning(
                "%s: its steps are not recorded: %s", stream, error, extra=of_run(stream)
            )
            return
        self.events += len(observed.events)
        self.steps += len(observed.events)

    def _refused(self, run_id: str, error: RunfoldError) -> None:
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


def _check_new(after: str, passed: set[str]) -> None:
    """Raises UnusableAnswer where a list would go on for ever."""
    if after in passed:
        raise UnusableAnswer(f"the service gives the same part of a list again, after {after!r}")
    passed.add(after)


async def _all(works: Iterable[Coroutine[None, None, Result]]) -> list[Result]:
    """What comes of all; where one fails, the others are stopped first."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
