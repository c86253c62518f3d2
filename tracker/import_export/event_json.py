"""An event of a history as a line of JSON, `{"stream", "version", "topic", "event"}`, and back.

Topic and event are as the store has them, those of an older release in their newest shape. The
position is left out: it belongs to one store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic_core import to_json

from tracker.core.events import (
    ConfigurationRecorded,
    Event,
    RunCreated,
    configuration_stream,
    run_stream,
)
from tracker.errors import PayloadError, UnreadableEvent
from tracker.event_store.codec import decode, encode
from tracker.event_store.store import RecordedEvent

_KEYS = {"stream", "version", "topic", "event"}


class EventLine(NamedTuple):
    """An event with its place in its stream, versions from 1."""

    stream: str
    version: int
    event: Event


def event_line(entry: RecordedEvent) -> bytes:
    """The line of a recorded event, with its end; the same bytes for the same event."""
    topic, state = encode(entry.event)
    return b'{"stream":%b,"version":%d,"topic":%b,"event":%b}\n' % (
        to_json(entry.stream),
        entry.version,
        to_json(topic),
        state,
    )


def is_event_line(document: Mapping[str, Any]) -> bool:
    """Whether a document claims to be such a line."""
    return document.keys() >= _KEYS


def read_event_line(document: Mapping[str, Any]) -> EventLine:
    """The event of such a document.

    Raises PayloadError where it is none that this release knows, or not one of that stream.
    """
    stream, version, topic = document["stream"], document["version"], document["topic"]
    if not isinstance(stream, str) or not stream or "\0" in stream:
        raise PayloadError("stream: not the name of one")
    if type(version) is not int or not 0 < version < 2**31:
        raise PayloadError("version: not a whole number from 1 on")
    if not isinstance(topic, str):
        raise PayloadError("topic: not a text")
    if not isinstance(document["event"], dict):
        raise PayloadError("event: not a JSON object")
    try:
        event = decode(topic, to_json(document["event"]))
        encode(event)
    except UnreadableEvent as error:
        raise PayloadError(str(error)) from None
    if not _belongs(stream, version, event):
        raise PayloadError(f"{topic} is no event for version {version} of stream {stream!r}")
    return EventLine(stream, version, event)


def _belongs(stream: str, version: int, event: Event) -> bool:
    if isinstance(event, RunCreated):
        return version == 1 and stream == run_stream(event.source, event.run_id)
    if isinstance(event, ConfigurationRecorded):
        return version == 1 and stream == configuration_stream(event.digest)
    return version > 1
