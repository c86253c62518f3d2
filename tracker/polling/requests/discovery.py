"""Finds the runs that begin on known threads, by a page of each thread now and then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tracker.core.events import run_stream
from tracker.core.state import RunState
from tracker.errors import RunfoldError, SettingsError, Unreachable
from tracker.polling.dispatcher import SourceDispatcher
from tracker.polling.error_policy import ErrorPolicy
from tracker.polling.queues.background_queue import BackgroundQueue
from tracker.polling.queues.background_requests import PAGE_LIMIT, DiscoveryRequest
from tracker.polling.watch_list import WatchList
from tracker.recording.group_commit import GroupCommit
from tracker.recording.observation import Observation
from tracker.runtime.clock import Clock
from tracker.runtime.log_fields import of_source
from tracker.sources.answer import Answer
from tracker.sources.source import PageSource, Source

logger = logging.getLogger("runfold.discovery")

# How often it is looked whether a thread is due.
DISCOVERY_SECONDS = 0.2
# Enough for what began since, unless no run of the last page was known.
SHORT_PAGE = 20

# Told the source, the thread and the state of a run that was found.
Found = Callable[[Source, str, RunState], None]


class Discovery:
    """Looks at threads behind the polls that are due, with a tenth of the rate at most.

    `found` is told of each run that is new and has not ended, `ended` of each that has.
    """

    def __init__(
        self,
        roster: WatchList,
        batching: GroupCommit,
        clock: Clock,
        failures: ErrorPolicy,
        *,
        found: Found,
        ended: Found,
    ) -> None:
        self._roster = roster
        self._batching = batching
        self._clock = clock
        self._failures = failures
        self._found = found
        self._ended = ended

    def watch(self, source: Source, thread_id: str, every: float) -> None:
        """Looks at a thread from now on. Raises SettingsError for a source without pages."""
        if not isinstance(source, PageSource):
            raise SettingsError(f"the source {source.name!r} cannot list the runs of a thread")
        if not every > 0:
            raise SettingsError(f"every has to be above 0 seconds, not {every}")
        errands = self._roster.gate(source).discovery
        known = errands.find(thread_id)
        if known is not None:
            known.every = every
        else:
            errands.add(DiscoveryRequest(source, thread_id, every=every), self._clock.monotonic())

    def unwatch(self, source: Source, thread_id: str) -> None:
        """Looks at a thread no longer; one that is not looked at stays so."""
        errands = self._roster.gate(source).discovery
        known = errands.find(thread_id)
        if known is not None:
            errands.drop(known)

    async def look(self, errand: DiscoveryRequest, gate: SourceDispatcher) -> None:
        """Asks for a page of a thread, and records what is new on it."""
        source, pause = errand.source, errand.every
        assert isinstance(source, PageSource)
        try:
            answer, entries = await source.fetch_page(errand.key, errand.limit)
            self._roster.heed(gate, answer)
            errand.failures = 0
            await self._take_in(errand, answer, entries)
        except RunfoldError as error:
            pause = max(pause, self._failed(errand, gate, error))
        except Exception as error:
            logger.exception("%s: the source failed", source.name, extra=of_source(source.name))
            unreachable = Unreachable(f"{type(error).__name__}: {error}")
            pause = max(pause, self._failed(errand, gate, unreachable))
        errands: BackgroundQueue[Any] = gate.discovery
        if errands.find(errand.key) is errand:
            errands.add(errand, self._clock.monotonic() + pause)

    async def _take_in(
        self, errand: DiscoveryRequest, answer: Answer, entries: Sequence[Mapping[str, Any]]
    ) -> None:
        source = errand.source
        ids = [str(entry.get("id")) for entry in entries]
        known = [
            name in errand.ended or self._roster.find(run_stream(source.name, name)) is not None
            for name in ids
        ]
        new = [entry for entry, is_known in zip(entries, known, strict=True) if not is_known]
        ended = await asyncio.gather(*(self._record(errand, answer, entry) for entry in new))
        errand.ended = errand.ended.intersection(ids).union(name for name in ended if name)
        may_be_more = not (errand.is_first or any(known) or len(ids) < SHORT_PAGE)
        errand.limit = PAGE_LIMIT if may_be_more else SHORT_PAGE
        errand.is_first = False

    async def _record(
        self, errand: DiscoveryRequest, answer: Answer, entry: Mapping[str, Any]
    ) -> str | None:
        """Records a run; gives its id where it has ended."""
        source = errand.source
        try:
            snapshot = source.snapshot(
                entry, observed_at=answer.observed_at, asked_at=answer.asked_at
            )
            observed = await self._batching.record(Observation.of(snapshot))
        except RunfoldError as error:
            logger.warning(
                "%s: a run of it is not recorded: %s",
                errand.key,
                error,
                extra=of_source(source.name),
            )
            return None
        state = observed.state
        if not state.is_ended:
            self._found(source, errand.key, state)
            return None
        if observed.events:
            self._ended(source, errand.key, state)
        return snapshot.run_id

    def _failed(
        self, errand: DiscoveryRequest, gate: SourceDispatcher, error: RunfoldError
    ) -> float:
        errand.failures += 1
        if errand.failures == 1:
            logger.warning(
                "%s: cannot be looked at for new runs: %s",
                errand.key,
                error,
                extra=of_source(errand.source.name),
            )
        return self._failures.of_errand(gate, gate.discovery, error, errand.failures)
