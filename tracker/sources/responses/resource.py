"""The Responses resource in background mode: responses that are made now and come later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from tracker.core.state import RunState
from tracker.core.status import COMPLETED, INCOMPLETE
from tracker.sources.answer import Answer
from tracker.sources.http.address import path_of
from tracker.sources.http.api_keys import ApiKey
from tracker.sources.http.requests import answered, ask_for, check, without_stream
from tracker.sources.http.source import HttpSettings, HttpSource
from tracker.sources.http.transport import AuthHeader
from tracker.sources.responses import snapshots
from tracker.sources.responses.snapshots import RESPONSE_OBJECT, Response
from tracker.sources.source import SETTLING_SECONDS

_KIND = {"object": RESPONSE_OBJECT}


class Responses(HttpSource):
    """A service that speaks the Responses API. Nothing is opened before the first call.

    A response is a run. It has no thread but its conversation, and no list, so responses are
    tracked that `Tracker.responses` creates, that are watched by their id, or observed. One that
    completed with calls requires an action, until a response goes on from it
    (`previous_response_id`). A service forgets a response after a while: that is no failure, it
    vanished. One that completed without a usage is asked about again ten seconds, a minute and
    ten minutes later.

    Every call is one request, never repeated, and raises SourceError where it did not come
    through. What it gives has the answer it came in as `.answer`.
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
        """Starts a response. What is None is left out; `more` is sent as it is.

        To answer the calls of another, name it as `previous_response_id` and give their outputs,
        each with its `call_id`, as `input`.
        """
        named = {
            "input": input,
            "model": model,
            "previous_response_id": previous_response_id,
            "background": background,
        }
        given = {name: value for name, value in named.items() if value is not None}
        path = path_of("responses")
        answer, found = await ask_for(
            self._transport, "POST", path, _KIND, without_stream({**given, **more})
        )
        return answered(Response, answer, found, f"POST {path}")

    async def retrieve(self, response_id: str) -> Response:
        """One response as it is now."""
        return await self._one("GET", response_id)

    async def cancel(self, response_id: str) -> Response:
        """Stops a response that is made in the background."""
        return await self._one("POST", response_id, "cancel")

    async def fetch(self, thread_id: str, run_id: str, known: bytes | None = None) -> Answer:
        """The answer about one response, checked to be about it; `thread_id` may be empty."""
        path = path_of("responses", run_id)
        answer, found = await self._transport.ask("GET", path, known=known)
        if answer.body is not known:
            check(f"GET {path}", found, {**_KIND, "id": run_id})
        return answer

    def usage_settles_after(self, state: RunState) -> Sequence[float]:
        """When to ask again about a response that has ended, in seconds after its end."""
        lacks = state.usage is None and state.status in (COMPLETED, INCOMPLETE)
        return SETTLING_SECONDS if lacks else ()

    async def _one(self, method: str, response_id: str, *more: str) -> Response:
        path = path_of("responses", response_id, *more)
        answer, found = await ask_for(self._transport, method, path, {**_KIND, "id": response_id})
        return answered(Response, answer, found, f"{method} {path}")
