"""Server-sent events of the simulated service, and streams that break."""

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

# Operations that support `stream`.
STREAMING: tuple[Operation, ...] = (
    create_run,
    create_thread_and_run,
    start_response,
    submit_outputs,
)
# Faults that break a stream in the middle.
BREAKS_STREAM = ("truncated", "cut")
# In real seconds.
_TICK = 0.01


class EventStream(StreamingResponse):
    """Streams the events of a run from `since` (unix seconds) on; `breaks` cuts it in half."""

    def __init__(
        self,
        service: Service,
        run_id: str,
        since: float,
        version: Version,
        headers: dict[str, str],
        *,
        breaks: bool = False,
    ) -> None:
        self._service, self._run_id = service, run_id
        self._since, self._version, self._breaks = since, version, breaks
        self._transport: Any = None
        super().__init__(self._stream_text(), 200, headers, media_type="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._transport = scope.get("state", {}).get("transport")
        await super().__call__(scope, receive, send)

    async def _stream_text(self) -> AsyncIterator[bytes]:
        sent, breaks_at = 0, None
        while True:
            events, now, is_complete = self._list_events()
            if self._breaks and breaks_at is None:
                breaks_at = len(events) // 2
            due = [each for each in events if each.at <= now]
            for number in range(sent, len(due)):
                text = due[number].text.encode()
                if number == breaks_at:
                    yield text[: len(text) // 2]
                    await self._break_connection()
                yield text
            sent = len(due)
            if is_complete and sent == len(events):
                return
            await asyncio.sleep(_TICK)

    def _list_events(self) -> tuple[list[StreamEvent], float, bool]:
        """Returns all planned events, the time, and True if no more will be planned."""
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
            raise ConnectionResetError("the simulator broke the connection")
        await asyncio.sleep(_TICK)
        self._transport.close()
        # The server cancels this task once it sees that the connection is closed.
        await asyncio.Event().wait()
