"""Re-checks of ended runs whose service may still report or correct their usage."""

from __future__ import annotations

import logging

from tracker.core.events import run_stream
from tracker.errors import RunfoldError
from tracker.polling.dispatcher import SourceDispatcher
from tracker.polling.queues.background_requests import UsageRecheck
from tracker.polling.requests.run_requests import RunRequests
from tracker.polling.requests.source_errors import unexpected_as_unreachable
from tracker.recording.observation import Observation
from tracker.runtime.log_fields import of_run

logger = logging.getLogger("runfold.polling")


class UsageRechecks(RunRequests):
    """Polls ended runs again, as often as their source asks for, behind the polls that are due."""

    async def recheck(self, request: UsageRecheck, dispatcher: SourceDispatcher) -> None:
        """Polls an ended run once more, records a change, and schedules the next re-check."""
        source, stream = request.source, run_stream(request.source.name, request.key)
        try:
            with unexpected_as_unreachable(logger, stream, of_run):
                known = (await self._commits.state(stream, patient=True)).version
                answer = await source.fetch(request.thread_id, request.key, request.body)
                self._watch_list.apply_rate_headers(dispatcher, answer, request.subject)
                request.keep(answer.body)
                snapshot = source.snapshot(
                    answer.body, observed_at=answer.observed_at, asked_at=answer.asked_at
                )
                observation = Observation.of_known(snapshot.on_thread(request.thread_id), known)
                result = await self._commits.record(observation, patient=True)
        except RunfoldError as error:
            queue = dispatcher.usage_rechecks
            self._error_policy.retry_later(request, dispatcher, queue, error)
            return
        dispatcher.postponed.pop(request, None)
        if result.state.status is None:
            # It was forgotten since it ended.
            dispatcher.usage_rechecks.remove(request)
            return
        request.failures = 0
        self._updates.on_recorded(source, result)
        self._updates.schedule_recheck(request, result.state)
