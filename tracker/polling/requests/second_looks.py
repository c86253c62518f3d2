"""Further looks at runs that were set aside: they vanished, or their requests are refused."""

from __future__ import annotations

import logging

from tracker.core.events import run_stream
from tracker.errors import (
    KeyRefused,
    Misconfigured,
    NotFound,
    RequestRefused,
    RunfoldError,
    UnreadableEvent,
)
from tracker.polling.dispatcher import SourceDispatcher
from tracker.polling.queues.background_requests import SecondLook
from tracker.polling.requests.run_requests import RunRequests
from tracker.polling.requests.source_errors import unexpected_as_unreachable
from tracker.polling.watch_list import SECOND_LOOK_SECONDS
from tracker.recording.observation import Observation
from tracker.runtime.log_fields import of_run

logger = logging.getLogger("runfold.polling")


class SecondLooks(RunRequests):
    """Looks again at runs that were set aside, and watches those that are answered."""

    async def look(self, request: SecondLook, dispatcher: SourceDispatcher) -> None:
        """Polls a run once more; watches it if it is answered, or schedules the next look."""
        source, stream = request.source, run_stream(request.source.name, request.key)
        try:
            with unexpected_as_unreachable(logger, stream, of_run):
                known = await self._commits.state(stream, patient=True)
                # Forgotten meanwhile, or left to another tracker.
                is_forgotten = request.is_recorded and known.status is None
                if is_forgotten or (known.status and not self._watch_list.owns(source, known)):
                    dispatcher.second_looks.remove(request)
                    return
                answer = await source.fetch(request.thread_id, request.key)
                self._watch_list.apply_rate_headers(dispatcher, answer, request.subject)
                snapshot = source.snapshot(
                    answer.body, observed_at=answer.observed_at, asked_at=answer.asked_at
                ).on_thread(request.thread_id)
                observe = Observation.of_known if request.is_recorded else Observation.of
                observation = observe(snapshot, known.version)
                result = await self._commits.record(observation, patient=True)
        except RunfoldError as error:
            self._on_error(request, dispatcher, error)
            return
        dispatcher.second_looks.remove(request)
        if result.state.status is None:
            # It was forgotten by another process, during this look.
            return
        logger.info("%s: polled again", stream, extra=of_run(stream))
        if not result.state.is_ended:
            thread_id = result.state.thread_id or request.thread_id
            self._watch_list.watch(source, thread_id, request.key, state=result.state)
        self._updates.on_recorded(source, result)

    def _on_error(
        self, request: SecondLook, dispatcher: SourceDispatcher, error: RunfoldError
    ) -> None:
        queue, now = dispatcher.second_looks, self._clock.monotonic()
        request.failures += 1
        pause = self._error_policy.on_background_error(dispatcher, queue, error, request)
        if isinstance(error, (NotFound, RequestRefused, UnreadableEvent)):
            request.error, request.failures = error, 0
            request.looks += 1
            pause = SECOND_LOOK_SECONDS[min(request.looks, len(SECOND_LOOK_SECONDS) - 1)]
            if now + pause > request.until:
                self._give_up(request, dispatcher)
                return
        elif not isinstance(error, (KeyRefused, Misconfigured)):
            pause = max(pause, 1.0)
        queue.add(request, now + pause)

    def _give_up(self, request: SecondLook, dispatcher: SourceDispatcher) -> None:
        stream = run_stream(request.source.name, request.key)
        dispatcher.give_up(dispatcher.second_looks, request)
        logger.warning("%s: given up: %s", stream, request.error, extra=of_run(stream))
