"""The codec: events to bytes and back, as JSON under an explicit topic, through the upcasters.

A stored topic is the event's name and the version of its shape, `run.created/1`. Fields with their
default are left out. Events are decoded by their own model, so that nothing in a user's data is
ever interpreted as a type.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json

from tracker.core.events import EVENTS, Event
from tracker.core.upcasters import upcast
from tracker.errors import PayloadError, UnreadableEvent


def _topic_of(event_type: type[Event]) -> str:
    return f"{event_type.topic}/{event_type.topic_version}"


_TOPICS = {it: _topic_of(it) for it in EVENTS.values()}
# Bound methods: to look the attributes up each time would cost as much as a short encoding.
_ENCODERS = {it: it.__pydantic_serializer__.to_json for it in EVENTS.values()}
_DECODERS = {_topic_of(it): it.__pydantic_validator__.validate_json for it in EVENTS.values()}


def encode(event: Event) -> tuple[str, bytes]:
    """Returns the topic and the JSON of an event.

    Raises PayloadError if a text in it cannot be encoded (half a surrogate pair).
    """
    event_type = type(event)
    try:
        return _TOPICS[event_type], _ENCODERS[event_type](event, exclude_defaults=True)
    except PydanticSerializationError as error:
        raise PayloadError(f"{event.topic} cannot be written as JSON: {error}") from error


def decode(topic: str, state: bytes) -> Event:
    """Returns the event of a stored topic and its JSON, in its newest shape.

    Raises UnreadableEvent if this release does not know the topic, or the JSON does not fit it.
    """
    try:
        decoder = _DECODERS.get(topic)
        event: Event = decoder(state) if decoder else _decode_older(topic, state)
    except Exception as error:
        # The bytes of one event may be anything, and must not keep the others from being read.
        raise UnreadableEvent(
            f"an event of topic {topic!r} cannot be read by this release of runfold: "
            f"{_describe(error)}; if a newer release wrote it, use that one"
        ) from error
    return event


def _describe(error: Exception) -> str:
    """Returns what is wrong with the bytes of an event on one line, without its content."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return ": ".join(filter(None, [".".join(map(str, first["loc"])), first["msg"]]))


def _decode_older(topic: str, state: bytes) -> Event:
    name, _, version = topic.rpartition("/")
    event_type = EVENTS.get(name)
    if event_type is None or not version.isdecimal() or int(version) > event_type.topic_version:
        raise LookupError(f"known topics are {', '.join(sorted(_DECODERS))}")
    fields: dict[str, Any] = from_json(state)
    newest = upcast(name, int(version), event_type.topic_version, fields)
    return event_type.model_validate(newest)
