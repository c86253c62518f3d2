"""Discovery of runs that start on known threads, by listing each thread at intervals."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from tracker.core.events import run_stream
from tracker.core.state import UNKNOWN_VERSION
from tracker.errors import RunfoldError, SettingsError
from tracker.polling.dispatcher import SourceDispatcher
from tracker.polling.queues.background_requests import PAGE_LIMIT, DiscoveryRequest
from tracker.polling.requests.run_requests import RunRequests
from tracker.polling.requests.source_errors import unexpected_as_unreachable
from tracker.recording.observation import Observation
from tracker.runtime.log_fields import of_source
from tracker.sources.answer import Answer
from tracker.sources.source import PageSource, Source

logger = logging.getLogger("runfold.discovery")

# The interval of the job that sends due requests.
DISCOVERY_SECONDS = 0.2
# Enough for the runs since the last page, unless none of that page was known.
SHORT_PAGE = 20


class Discovery(RunRequests):
    """Lists threads behind the polls that are due, with a tenth of the rate at most."""

    def watch_thread(self, source: Source, thread_id: str, every: float) -> None:
        """Lists a thread from now on, every so many seconds.

        Raises SettingsError for a source without pages, or an interval that is not positive.
        """
        if not isinstance(source, PageSource):
            raise SettingsError(f"the source {source.name!r} cannot list the runs of a thread")
        if not every > 0:
            raise SettingsError(f"every has to be above 0 seconds, not {every}")
        queue = self._watch_list.dispatcher(source).discovery
        known = queue.find(thread_id)
        if known is not None:
            known.every = every
        else:
            queue.add(DiscoveryRequest(source, thread_id, every=every), self._clock.monotonic())

    def unwatch_thread(self, source: Source, thread_id: str) -> None:
        """Stops listing a thread, if it is listed."""
        queue = self._watch_list.dispatcher(source).discovery
        known = queue.find(thread_id)
        if known is not None:
            queue.remove(known)

    async def list_thread(self, request: DiscoveryRequest, dispatcher: SourceDispatcher) -> None:
        """Fetches a page of a thread, and records the new runs on it."""
        source, pause = request.source, request.every
        assert isinstance(source, PageSource)
        try:
            with unexpected_as_unreachable(logger, source.name, of_source):
                answer, entries = await source.fetch_page(request.key, request.limit)
                self._watch_list.apply_rate_headers(dispatcher, answer, request.subject)
                request.failures = 0
                await self._record_page(request, answer, entries)
        except RunfoldError as error:
            pause = max(pause, self._on_error(request, dispatcher, error))
        # Unless the thread was unwatched meanwhile.
        if dispatcher.discovery.find(request.key) is request:
            dispatcher.discovery.add(request, self._clock.monotonic() + pause)

    async def _record_page(
        self, request: DiscoveryRequest, answer: Answer, entries: Sequence[Mapping[str, Any]]
    ) -> None:
        name = request.source.name
        ids = [str(entry.get("id")) for entry in entries]
        known = [
            run_id in request.ended_ids
            or self._watch_list.find(run_stream(name, run_id)) is not None
            for run_id in ids
        ]
        new = [entry for entry, is_known in zip(entries, known, strict=True) if not is_known]
        ended = await asyncio.gather(*(self._record(request, answer, entry) for entry in new))
        request.ended_ids = request.ended_ids.intersection(ids).union(filter(None, ended))
        may_be_more = not (request.is_first or any(known) or len(ids) < SHORT_PAGE)
        request.limit = PAGE_LIMIT if may_be_more else SHORT_PAGE
        request.is_first = False

    async def _record(
        self, request: DiscoveryRequest, answer: Answer, entry: Mapping[str, Any]
    ) -> str | None:
        """Records a run; returns its id if it has ended."""
        source = request.source
        try:
            snapshot = source.snapshot(
                entry, observed_at=answer.observed_at, asked_at=answer.asked_at
            ).on_thread(request.key)
            observation = Observation.of(snapshot, UNKNOWN_VERSION)
            result = await self._commits.record(observation, patient=True)
        except RunfoldError as error:
            logger.warning(
                "%s: cannot record a run of this thread: %s",
                request.key,
                error,
                extra=of_source(source.name),
            )
            return None
        if not result.state.is_ended:
            self._updates.on_run_found(source, request.key, result.state)
            return None
        if result.events:
            self._updates.on_ended(source, request.key, result.state)
        return snapshot.run_id

    def _on_error(
        self, request: DiscoveryRequest, dispatcher: SourceDispatcher, error: RunfoldError
    ) -> float:
        request.failures += 1
        if request.failures == 1:
            logger.warning(
                "%s: cannot list the runs of this thread: %s",
                request.key,
                error,
                extra=of_source(request.source.name),
            )
        queue = dispatcher.discovery
        return self._error_policy.on_background_error(dispatcher, queue, error, request)
