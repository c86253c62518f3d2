"""The Responses resource, captured: what our own calls show is recorded at once.

The calls, their arguments and their errors are those of `tracker.sources.Responses`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from tracker.capture import FIRST_LOOK_SECONDS
from tracker.core.events import Event, run_stream
from tracker.core.facts import decide_continued, decide_submitted
from tracker.core.state import RunState
from tracker.errors import RunfoldError
from tracker.histories import Look
from tracker.polling.batching import Batching
from tracker.polling.poller import Poller
from tracker.sources.response_snapshots import Response, answers_in
from tracker.sources.responses import Responses

logger = logging.getLogger("runfold.capture")


class CapturedResponses:
    """`Responses`, with everything that its answers show recorded, and its own ones watched.

    A call that the service took is never failed by the recording of its answer: that is logged,
    and the next poll records what it showed.
    """

    def __init__(
        self,
        api: Responses,
        batching: Batching,
        poller: Poller,
        check: Callable[[], object] = lambda: None,
    ) -> None:
        self._given = api
        self._check = check
        self._batching = batching
        self._poller = poller

    @property
    def _api(self) -> Responses:
        # Nothing is asked for a tracker that is not open, or not in this process.
        self._check()
        return self._given

    async def create(self, **settings: Any) -> Response:
        """Starts a response, which is watched from here on.

        Those whose calls its `input` answers, or that it goes on from, wait no more.
        """
        response = await self._api.create(**settings)
        answered = answers_in(settings.get("input"))
        for stream in self._waiting_for(answered, settings.get("previous_response_id")):
            await self._ended_wait(stream, answered, response)
        return await self._seen(response, watch=True)

    async def retrieve(self, response_id: str) -> Response:
        """Retrieves a response."""
        return await self._seen(await self._api.retrieve(response_id))

    async def cancel(self, response_id: str) -> Response:
        """Stops a response, which is watched until it came to that."""
        return await self._seen(await self._api.cancel(response_id), watch=True)

    def _waiting_for(self, answered: list[str], previous: str | None) -> set[str]:
        """The streams of the responses that a new one answers; in a conversation none is named."""
        named = {run_stream(self._api.name, previous)} if previous else set()
        return named | {
            watched.stream
            for watched in self._poller.watched
            if watched.source is self._api
            and any(call.id in answered for call in watched.state.tool_calls)
        }

    async def _ended_wait(self, stream: str, answered: list[str], response: Response) -> None:
        if response.answer is None:
            return
        at = response.answer.observed_at

        def decide(state: RunState) -> list[Event]:
            calls = [call.id for call in state.tool_calls if call.id in answered]
            submitted = decide_submitted(state, calls, at) if calls else []
            return [*submitted, *decide_continued(state, response.created_at, at)]

        try:
            observed = await self._batching.record(Look(stream, decide, ends_a_wait=True))
        except RunfoldError as error:
            logger.warning("%s: its end is not recorded: %s", stream, error)
            return
        self._poller.notice(stream, observed.state)

    async def _seen(self, response: Response, *, watch: bool = False) -> Response:
        state = await self._observe(response)
        if watch and (state is None or not state.is_ended):
            thread = (state.thread_id if state else None) or ""
            self._poller.watch(self._api, thread, response.id, after=FIRST_LOOK_SECONDS)
        if state is not None:
            self._poller.notice(run_stream(self._api.name, response.id), state)
        return response

    async def _observe(self, response: Response) -> RunState | None:
        answer = response.answer
        if answer is None:
            return None
        try:
            snapshot = self._api.snapshot(
                response, observed_at=answer.observed_at, asked_at=answer.asked_at
            )
            return await self._batching.observe(snapshot, self._poller.notice)
        except RunfoldError as error:
            logger.warning("%s: the answer to our own call is not recorded: %s", response.id, error)
            return None
