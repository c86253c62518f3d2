"""The Responses resource with recording: the answers to our own calls are observations.

The calls, their arguments and their errors are those of `tracker.sources.Responses`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracker.capture.recorder import ResponseCallRecorder
from tracker.session import Session
from tracker.sources.responses.models import Response
from tracker.sources.responses.resource import Responses
from tracker.sources.responses.snapshots import answers_in


class CapturedResponses:
    """`Responses` whose answers are recorded, and whose created responses are watched.

    `check` is called before each request, and raises SettingsError if the tracker is not open in
    this process.
    """

    def __init__(
        self, responses: Responses, session: Session, check: Callable[[], object] = lambda: None
    ) -> None:
        self._unchecked = responses
        self._check = check
        self._recorder = ResponseCallRecorder(responses, session)

    @property
    def _responses(self) -> Responses:
        self._check()
        return self._unchecked

    async def create(self, **settings: Any) -> Response:
        """Creates a response, and watches it.

        Ends the waits of the response that it continues, and of those whose calls its `input`
        answers.
        """
        response = await self._responses.create(**settings)
        answered = answers_in(settings.get("input"))
        await self._recorder.end_waits(answered, settings.get("previous_response_id"), response)
        await self._recorder.record(response, watch=True, call="create")
        return response

    async def retrieve(self, response_id: str) -> Response:
        """Retrieves a response."""
        responses, known = self._responses, await self._recorder.known_version(response_id)
        response = await responses.retrieve(response_id)
        await self._recorder.record(response, known)
        return response

    async def cancel(self, response_id: str) -> Response:
        """Cancels a response, and watches it until it has ended."""
        responses, known = self._responses, await self._recorder.known_version(response_id)
        response = await responses.cancel(response_id)
        await self._recorder.record(response, known, watch=True, call="cancel")
        return response
