"""The Responses resource in background mode, and the source of its responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from tracker.core.state import RunState
from tracker.core.status import COMPLETED, INCOMPLETE
from tracker.sources.answer import Answer
from tracker.sources.asked import check_answer
from tracker.sources.http.address import path_of
from tracker.sources.http.api_keys import ApiKey
from tracker.sources.http.requests import admit_outcome, ask_for, without_stream
from tracker.sources.http.source import HttpSettings, HttpSource
from tracker.sources.http.transport import AuthHeader
from tracker.sources.responses import snapshots
from tracker.sources.responses.models import Response
from tracker.sources.responses.snapshots import RESPONSE_OBJECT
from tracker.sources.source import SETTLING_SECONDS
from tracker.sources.wire import read_answer

_EXPECTED = {"object": RESPONSE_OBJECT}


class Responses(HttpSource):
    """A service with the Responses API. Nothing is opened before the first call.

    A response is a run; its thread is its conversation. The API has no list, so only those
    responses are tracked that `Tracker.responses` creates, that are watched by their id, or
    observed. A response that completed with calls requires an action, until another one continues
    it (`previous_response_id`). Services delete responses after a while: such a one vanished, it
    did not fail. One that completed without a usage is polled again ten seconds, a minute and ten
    minutes later.

    Every call is one request, never repeated, and raises SourceError if it fails. Its result has
    the answer that it came in as `.answer`. If `may_have_happened` of the error is true, the
    response may have been made, and be paid for.
    """

    payload_format = snapshots.FORMAT

    def __init__(
        self,
        base_url: str,
        api_key: ApiKey = None,
        *,
        name: str = "responses",
        api_version: str | None = None,
        auth_header: AuthHeader = "bearer",
        headers: Mapping[str, str] | None = None,
        **settings: Unpack[HttpSettings],
    ) -> None:
        super().__init__(
            base_url,
            api_key,
            name=name,
            api_version=api_version,
            auth_header=auth_header,
            headers=headers,
            **settings,
        )

    async def create(
        self,
        *,
        input: Any = None,
        model: str | None = None,
        previous_response_id: str | None = None,
        background: bool = True,
        **more: Any,
    ) -> Response:
        """Starts a response. Parameters that are None are left out; `more` is sent as it is.

        To answer the calls of another response, pass its id as `previous_response_id`, and their
        outputs, each with its `call_id`, as `input`.
        """
        named = {
            "input": input,
            "model": model,
            "previous_response_id": previous_response_id,
            "background": background,
        }
        given = {name: value for name, value in named.items() if value is not None}
        path = path_of("responses")
        sent = without_stream({**given, **more})
        with admit_outcome("POST"):
            answer, found = await ask_for(self._transport, "POST", path, _EXPECTED, sent)
            return read_answer(Response, answer, found, f"POST {path}")

    async def retrieve(self, response_id: str) -> Response:
        """Returns one response as it is now."""
        return await self._ask("GET", response_id)

    async def cancel(self, response_id: str) -> Response:
        """Stops a response that is made in the background."""
        return await self._ask("POST", response_id, "cancel")

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        """Returns the answer about one response, checked to be about it. Ignores `thread_id`."""
        path = path_of("responses", run_id)
        answer, found = await self._transport.ask_about(path, known)
        if answer.body is not known:
            answer, _ = check_answer(f"GET {path}", answer, found, run_id, _EXPECTED)
        return answer

    def usage_settles_after(self, state: RunState) -> Sequence[float]:
        """Returns the seconds after its end at which to ask again about a response."""
        lacks = state.usage is None and state.status in (COMPLETED, INCOMPLETE)
        return SETTLING_SECONDS if lacks else ()

    async def _ask(self, method: str, response_id: str, *more: str) -> Response:
        path = path_of("responses", response_id, *more)
        request = f"{method} {path}"
        with admit_outcome(method):
            answer, found = await self._transport.ask(method, path)
            answer, document = check_answer(request, answer, found, response_id, _EXPECTED)
            return read_answer(Response, answer, document, request)
