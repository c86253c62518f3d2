"""Hooks on the application's own HTTP clients, which pass calls about runs to the tracker.

The application sees no difference: errors in a hook never reach it, and a body is read only as
the application reads it.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from tracker.capture.body_tee import Chunks, decompress, tee_async, tee_sync
from tracker.capture.client_capture import (
    BODY_CAP,
    CapturedRequest,
    ClientCapture,
    running_loop,
)
from tracker.capture.exchange import CapturedSource
from tracker.errors import SettingsError
from tracker.sources.answer import is_json

# Calls wait this long for their recording, so that the tracker knows the answer when they return;
# a slow database must not slow down the application more than that.
PATIENCE_SECONDS = 1.0

Client = TypeVar("Client")


def install_hooks(client: Client, capture: ClientCapture, source: str | None) -> Client:
    """Adds hooks to a client of httpx or `openai`; see `Tracker.capture`."""
    http: Any = client if hasattr(client, "event_hooks") else getattr(client, "_client", None)
    hooks = getattr(http, "event_hooks", None)
    if not isinstance(hooks, dict):
        raise SettingsError(
            f"{type(client).__name__} cannot be captured: give a client of httpx or openai"
        )
    sources = capture.find_sources(source)
    for hook in hooks["request"]:
        if isinstance(hook, _Hook) and hook.capture is capture:
            hook.sources = sources
            return client
    added = (_AsyncHook if hasattr(http, "aclose") else _SyncHook)(capture, sources)
    hooks["request"].append(added)
    hooks["response"].append(added.on_response)
    return client


class _Hook:
    """The hooks of one client."""

    def __init__(self, capture: ClientCapture, sources: list[CapturedSource]) -> None:
        self.capture = capture
        self.sources = sources
        # Several trackers may capture one client.
        self._mark = f"runfold.{id(self):x}"

    def _mark_request(self, request: Any) -> None:
        try:
            # A redirected request carries the mark of the first one.
            request.extensions.pop(self._mark, None)
            found = self.capture.match(request, self.sources)
            if found is not None:
                request.extensions[self._mark] = found
        except Exception as error:
            self.capture.warn_failed(error)

    def _find_request(self, response: Any) -> CapturedRequest | None:
        """Returns the request of a response that is to be recorded, else None."""
        request: CapturedRequest | None = response.request.extensions.get(self._mark)
        is_success = 200 <= response.status_code < 300
        if request is None or not is_success or not is_json(response.headers):
            return None
        length = response.headers.get("content-length", "")
        if length.isdecimal() and len(length) < 20 and int(length) > BODY_CAP:
            self.capture.warn_too_large()
            return None
        return request

    def _start(
        self, request: CapturedRequest, response: Any, body: bytes | None
    ) -> Future[None] | None:
        """Starts to record a body. Returns the recording if the call should wait for it."""
        if body is None:
            self.capture.warn_too_large()
            return None
        done = self.capture.record(request, response, body)
        return done if self.capture.should_wait(done) else None


class _AsyncHook(_Hook):
    async def __call__(self, request: Any) -> None:
        self._mark_request(request)

    async def on_response(self, response: Any) -> None:
        try:
            request = self._find_request(response)
            if request is None:
                return
            if response.is_closed:
                # Another hook has read the body.
                await self._record(request, response, response.content)
                return

            async def on_complete(chunks: Chunks) -> None:
                try:
                    body = decompress(response, chunks, BODY_CAP)
                    await self._record(request, response, body)
                except Exception as error:
                    self.capture.warn_failed(error)

            response.stream = tee_async(response.stream, BODY_CAP, on_complete)
        except Exception as error:
            self.capture.warn_failed(error)

    async def _record(self, request: CapturedRequest, response: Any, body: bytes | None) -> None:
        done = self._start(request, response, body)
        # An event loop of another library than asyncio cannot wait.
        if done is not None and running_loop() is not None:
            await asyncio.wait([asyncio.wrap_future(done)], timeout=PATIENCE_SECONDS)
            self.capture.end_wait(done)


class _SyncHook(_Hook):
    def __call__(self, request: Any) -> None:
        self._mark_request(request)

    def on_response(self, response: Any) -> None:
        try:
            request = self._find_request(response)
            if request is None:
                return
            if response.is_closed:
                self._record(request, response, response.content)
                return

            def on_complete(chunks: Chunks) -> None:
                try:
                    self._record(request, response, decompress(response, chunks, BODY_CAP))
                except Exception as error:
                    self.capture.warn_failed(error)

            response.stream = tee_sync(response.stream, BODY_CAP, on_complete)
        except Exception as error:
            self.capture.warn_failed(error)

    def _record(self, request: CapturedRequest, response: Any, body: bytes | None) -> None:
        done = self._start(request, response, body)
        # The thread that records cannot wait for itself.
        if done is not None and not self.capture.is_recording_thread():
            wait([done], PATIENCE_SECONDS)
            self.capture.end_wait(done)
