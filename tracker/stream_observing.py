"""Observing a stream of events that somebody else reads: what it shows is recorded on the way."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tracker.errors import PayloadError, RunfoldError, SettingsError
from tracker.log_fields import of_run
from tracker.opened import Opened
from tracker.sightings import sighting
from tracker.sources.server_sent_events import EventParser
from tracker.sources.stream_events import Shown, shown_by

logger = logging.getLogger("runfold.streams")


class StreamObserver:
    """One stream: `read` tells what an item of it shows, `record` makes that durable.

    Nothing that a stream brings fails it: what cannot be read or recorded is logged.
    """

    def __init__(self, entered: Callable[[], Opened], source: str | None) -> None:
        self._entered = entered
        self._source = source
        self._parser = EventParser()
        entered()

    def read(self, item: object) -> list[Shown]:
        """The runs and ended steps that the events show which this item completes.

        From any thread. Raises SettingsError for a text that is not one line.
        """
        shown = []
        for event in self._events(item):
            try:
                found = shown_by(event)
            except PayloadError as error:
                logger.warning("an event of a stream cannot be read: %s", error)
            else:
                shown += [] if found is None else [found]
        return shown

    async def record(self, shown: list[Shown]) -> None:
        """Records what was shown, and watches its runs. Raises SettingsError as `sighting` does."""
        opened = self._entered()
        for each in shown:
            try:
                seen = sighting(opened.sources, each, self._source, opened.clock.now())
            except PayloadError as error:
                logger.warning("an event of a stream cannot be recorded: %s", error)
                continue
            try:
                await opened.take_in(seen)
            except RunfoldError as error:
                stream = seen.looks[0].stream
                logger.warning(
                    "%s: not recorded from its stream, the next poll will be: %s",
                    stream,
                    error,
                    extra=of_run(stream),
                )
                opened.look_after(seen)

    def _events(self, item: object) -> list[object]:
        if isinstance(item, str):
            line = item.rstrip("\r\n")
            if "\n" in line or "\r" in line:
                raise SettingsError(
                    "a text of a stream has to be one line: hand in the bytes, as they come"
                )
            item = f"{line}\n".encode("utf-8", "replace")
        if not isinstance(item, bytes | bytearray | memoryview):
            return [item]
        dropped = self._parser.dropped
        events: list[object] = [*self._parser.feed(bytes(item))]
        if self._parser.dropped > dropped:
            logger.warning("an event of a stream is too large, and was passed on unread")
        return events
