"""Encoding of events as lines of JSON, `{"stream", "version", "topic", "event"}`, and decoding.

Topic and event are those of the store; events of an older release are written in their newest
version. The position is left out: it has no meaning in another store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic_core import to_json

from tracker.core.events import (
    ConfigurationRecorded,
    Event,
    RunCreated,
    Unreadable,
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


def encode_event(entry: RecordedEvent) -> bytes:
    """Returns the line of a recorded event, with its line end; equal bytes for equal events.

    Raises UnreadableEvent for one that this release cannot read, and that is no JSON on one line.
    """
    topic, state = _encode_unreadable(entry) or encode(entry.event)
    return b'{"stream":%b,"version":%d,"topic":%b,"event":%b}\n' % (
        to_json(entry.stream),
        entry.version,
        to_json(topic),
        state,
    )


def _encode_unreadable(entry: RecordedEvent) -> tuple[str, bytes] | None:
    """Returns topic and JSON of an event as they are stored; None for one that was read."""
    event = entry.event
    if not isinstance(event, Unreadable):
        return None
    try:
        if b"\n" in event.state or not isinstance(json.loads(event.state), dict):
            raise ValueError("it is not an object on one line")
    except (ValueError, RecursionError) as error:
        raise UnreadableEvent(
            f"{entry.stream}: its version {entry.version} (position {entry.position}) is not "
            f"exported: {event.reason} ({error})"
        ) from error
    return event.stored_topic, event.state


def is_event_line(document: Mapping[str, Any]) -> bool:
    """True if a document has the keys of an exported event."""
    return document.keys() >= _KEYS


def decode_event(document: Mapping[str, Any]) -> EventLine:
    """Returns the event of an exported line.

    Raises PayloadError for an event that this release does not know, or of another stream.
    """
    stream, version, topic = document["stream"], document["version"], document["topic"]
    if not isinstance(stream, str) or not stream or "\0" in stream:
        raise PayloadError("stream: not the name of a stream")
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
    if not _belongs_to(stream, version, event):
        raise PayloadError(f"{topic} is no event for version {version} of stream {stream!r}")
    return EventLine(stream, version, event)


def _belongs_to(stream: str, version: int, event: Event) -> bool:
    if isinstance(event, RunCreated):
        return version == 1 and stream == run_stream(event.source, event.run_id)
    if isinstance(event, ConfigurationRecorded):
        return version == 1 and stream == configuration_stream(event.digest)
    return version > 1
