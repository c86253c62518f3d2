"""Streams of the simulated service: events as they happen, and streams that break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from tracker.simulator.api.operations import (
    Operation,
    create_run,
    create_thread_and_run,
    start_response,
    submit_outputs,
)
from tracker.simulator.api.payloads import Version
from tracker.simulator.api.stream_events import StreamEvent, response_events, run_events
from tracker.simulator.model.service import Service

# What a request with `stream` gets a stream from.
STREAMING: tuple[Operation, ...] = (
    create_run,
    create_thread_and_run,
    start_response,
    submit_outputs,
)
# Faults that break a stream where other answers are cut off.
BREAKS_STREAM = ("truncated", "cut")
# In real seconds.
_TICK = 0.01


class EventStream(StreamingResponse):
    """The events of a run from `since` (unix seconds) on; one that is `torn` breaks half way."""

    def __init__(
        self,
        service: Service,
        run_id: str,
        since: float,
        version: Version,
        headers: dict[str, str],
        *,
        torn: bool = False,
    ) -> None:
        self._service, self._run_id = service, run_id
        self._since, self._version, self._torn = since, version, torn
        self._transport: Any = None
        super().__init__(self._stream_text(), 200, headers, media_type="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._transport = scope.get("state", {}).get("transport")
        await super().__call__(scope, receive, send)

    async def _stream_text(self) -> AsyncIterator[bytes]:
        sent, breaks_at = 0, None
        while True:
            events, now, is_over = self._events()
            if self._torn and breaks_at is None:
                breaks_at = len(events) // 2
            due = [each for each in events if each.at <= now]
            for number in range(sent, len(due)):
                text = due[number].text.encode()
                if number == breaks_at:
                    yield text[: len(text) // 2]
                    await self._break_connection()
                yield text
            sent = len(due)
            if is_over and sent == len(events):
                return
            await asyncio.sleep(_TICK)

    def _events(self) -> tuple[list[StreamEvent], float, bool]:
        """The events as they are to come, the time, and whether they have an end."""
        with self._service.lock:
            world, now = self._service.world, self._service.clock.now()
            record = world.runs.get(self._run_id)
            if record is not None:
                events = run_events(record, world.get_life(record), self._since, self._version)
                return events, now, events[-1:] != [] and events[-1].name == "done"
            if (response := world.responses.get(self._run_id)) is None:
                return [], now, True
            life = world.get_life(response)
            return response_events(response, life), now, life.at(now).ended_at is not None

    async def _break_connection(self) -> None:
        if self._transport is None:
            raise ConnectionResetError("the simulator tore the connection")
        await asyncio.sleep(_TICK)
        self._transport.close()
        # Whoever serves it cancels this, now that nobody is there.
        await asyncio.Event().wait()
