"""Observation of streams that the application reads: their runs are recorded on the way."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import TypeVar

from tracker.errors import RunfoldError, SettingsError
from tracker.ingest.payloads import resolve_payload
from tracker.ingest.recorder import record, watch
from tracker.ingest.server_sent_events import EventParser
from tracker.runtime.log_fields import of_run
from tracker.session import Session
from tracker.sources.stream_events import StreamPayload, payload_in

logger = logging.getLogger("runfold.streams")

Item = TypeVar("Item")


class StreamObserver:
    """One stream: `read` finds the payloads of an item, `record` makes them durable.

    Nothing that a stream brings raises: an event that cannot be read or recorded is logged.
    `require_session` returns the open tracker's parts, or raises SettingsError.
    """

    def __init__(self, require_session: Callable[[], Session], source: str | None) -> None:
        self._require_session = require_session
        self._source = source
        self._parser = EventParser()
        require_session()

    def read(self, item: object) -> list[StreamPayload]:
        """Returns the runs and ended steps shown by the events that this item completes.

        Safe from any thread. Raises SettingsError for a text that is not one line.
        """
        payloads = []
        for event in self._parse(item):
            try:
                payload = payload_in(event)
            except Exception as error:
                logger.warning("an event of a stream cannot be read: %s", _describe(error))
            else:
                payloads += [] if payload is None else [payload]
        return payloads

    async def record(self, payloads: list[StreamPayload]) -> None:
        """Records payloads and watches their runs. Raises SettingsError as `resolve_payload`."""
        session = self._require_session()
        for payload in payloads:
            try:
                resolved = resolve_payload(
                    session.sources, payload, self._source, session.clock.now()
                )
            except SettingsError:
                raise
            except Exception as error:
                logger.warning("an event of a stream cannot be recorded: %s", _describe(error))
                continue
            try:
                await record(session, resolved)
            except Exception as error:
                stream = resolved.observations[0].stream
                logger.warning(
                    "%s: could not record from stream, will poll instead: %s",
                    stream,
                    _describe(error),
                    extra=of_run(stream),
                )
                watch(session, resolved)

    def _parse(self, item: object) -> list[object]:
        if isinstance(item, str):
            line = item.rstrip("\r\n")
            if "\n" in line or "\r" in line:
                raise SettingsError(
                    "a text of a stream has to be one line: pass the bytes as received"
                )
            item = f"{line}\n".encode("utf-8", "replace")
        if not isinstance(item, bytes | bytearray | memoryview):
            return [item]
        dropped = self._parser.dropped
        events: list[object] = [*self._parser.feed(bytes(item))]
        if self._parser.dropped > dropped:
            logger.warning("an event of a stream is too large, and is not recorded")
        return events


def _describe(error: Exception) -> str:
    # The message of another error may contain anything.
    return str(error) if isinstance(error, RunfoldError) else type(error).__name__


async def observe_stream(
    require_session: Callable[[], Session], stream: AsyncIterable[Item], source: str | None
) -> AsyncIterator[Item]:
    """Yields the items of a stream unchanged, each once its payloads are durable."""
    observer = StreamObserver(require_session, source)
    async for item in stream:
        if payloads := observer.read(item):
            await observer.record(payloads)
        yield item
