"""Hooks on clients of the application's own, whose calls feed the tracker.

Nothing changes for the application: nothing that goes wrong in a hook reaches it, and a body
is read by nobody but itself.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from tracker.capture.body_tee import Chunks, tapped_async, tapped_sync, unpacked
from tracker.capture.client_capture import BODY_CAP, Asked, ClientCapture, running_loop
from tracker.capture.exchange_recorder import Api
from tracker.errors import SettingsError
from tracker.sources.answer import is_json

# So that the tracker knows at once of what the application was answered; no longer, lest a slow
# database make the application slow.
PATIENCE_SECONDS = 1.0

Client = TypeVar("Client")


def install_hooks(client: Client, capturing: ClientCapture, source: str | None) -> Client:
    """Adds hooks to a client of httpx or `openai`; see `Tracker.capture`."""
    http: Any = client if hasattr(client, "event_hooks") else getattr(client, "_client", None)
    hooks = getattr(http, "event_hooks", None)
    if not isinstance(hooks, dict):
        raise SettingsError(
            f"{type(client).__name__} cannot be captured: give a client of httpx or openai"
        )
    apis = capturing.apis(source)
    kind = _AsyncHook if hasattr(http, "aclose") else _SyncHook
    for hook in hooks["request"]:
        if isinstance(hook, _Hook) and hook.of is capturing:
            hook.apis = apis
            return client
    added = kind(capturing, apis)
    hooks["request"].append(added)
    hooks["response"].append(added.answered)
    return client


class _Hook:
    """The hooks of one client."""

    def __init__(self, of: ClientCapture, apis: list[Api]) -> None:
        self.of = of
        self.apis = apis
        # Others may capture the same client.
        self._mark = f"runfold.{id(self):x}"

    def _mark_request(self, request: Any) -> None:
        try:
            # A redirected request has what the first one had.
            request.extensions.pop(self._mark, None)
            asked = self.of.asked(request, self.apis)
            if asked is not None:
                request.extensions[self._mark] = asked
        except Exception as error:
            self.of.failed(error)

    def _asked(self, response: Any) -> Asked | None:
        """What was asked, where the answer is one to be recorded."""
        asked: Asked | None = response.request.extensions.get(self._mark)
        if asked is None or response.status_code not in (200, 201) or not is_json(response.headers):
            return None
        length = response.headers.get("content-length", "")
        if length.isdecimal() and len(length) < 20 and int(length) > BODY_CAP:
            self.of.too_large()
            return None
        return asked

    def _take(self, asked: Asked, response: Any, body: bytes | None) -> Future[None] | None:
        """Has a body recorded. Gives what is to be waited for, if anything is."""
        if body is None:
            self.of.too_large()
            return None
        done = self.of.take(asked, response, body)
        return done if self.of.may_wait(done) else None


class _AsyncHook(_Hook):
    async def __call__(self, request: Any) -> None:
        self._mark_request(request)

    async def answered(self, response: Any) -> None:
        try:
            asked = self._asked(response)
            if asked is None:
                return
            if response.is_closed:
                # Another hook has read it.
                await self._record(asked, response, response.content)
                return

            async def whole(chunks: Chunks) -> None:
                try:
                    await self._record(asked, response, unpacked(response, chunks, BODY_CAP))
                except Exception as error:
                    self.of.failed(error)

            response.stream = tapped_async(response.stream, BODY_CAP, whole)
        except Exception as error:
            self.of.failed(error)

    async def _record(self, asked: Asked, response: Any, body: bytes | None) -> None:
        done = self._take(asked, response, body)
        # An event loop of another library's does not wait.
        if done is not None and running_loop() is not None:
            await asyncio.wait([asyncio.wrap_future(done)], timeout=PATIENCE_SECONDS)
            self.of.waited(done)


class _SyncHook(_Hook):
    def __call__(self, request: Any) -> None:
        self._mark_request(request)

    def answered(self, response: Any) -> None:
        try:
            asked = self._asked(response)
            if asked is None:
                return
            if response.is_closed:
                self._record(asked, response, response.content)
                return

            def whole(chunks: Chunks) -> None:
                try:
                    self._record(asked, response, unpacked(response, chunks, BODY_CAP))
                except Exception as error:
                    self.of.failed(error)

            response.stream = tapped_sync(response.stream, BODY_CAP, whole)
        except Exception as error:
            self.of.failed(error)

    def _record(self, asked: Asked, response: Any, body: bytes | None) -> None:
        done = self._take(asked, response, body)
        # The thread that records cannot wait for itself.
        if done is not None and not self.of.blocks():
            wait([done], PATIENCE_SECONDS)
            self.of.waited(done)
