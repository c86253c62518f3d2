"""The Responses resource, captured: what our own calls show is recorded at once.

The calls, their arguments and their errors are those of `tracker.sources.Responses`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracker.capture.recorder import ResponseAnswers
from tracker.session import Session
from tracker.sources.responses.resource import Responses
from tracker.sources.responses.snapshots import Response, answers_in


class CapturedResponses:
    """`Responses`, with everything that its answers show recorded, and its own ones watched."""

    def __init__(
        self, api: Responses, session: Session, check: Callable[[], object] = lambda: None
    ) -> None:
        self._given = api
        self._check = check
        self._answers = ResponseAnswers(api, session)

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
        await self._answers.ended_waits(answered, settings.get("previous_response_id"), response)
        await self._answers.seen(response, watch=True)
        return response

    async def retrieve(self, response_id: str) -> Response:
        """Retrieves a response."""
        response = await self._api.retrieve(response_id)
        await self._answers.seen(response)
        return response

    async def cancel(self, response_id: str) -> Response:
        """Stops a response, which is watched until it came to that."""
        response = await self._api.cancel(response_id)
        await self._answers.seen(response, watch=True)
        return response
