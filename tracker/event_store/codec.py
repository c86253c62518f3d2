"""Events to bytes and back: JSON under an explicit topic, through the upcasters.

A stored topic is the event's name and the version of its shape, `run.created/1`. Fields at their
defaults are left out. Decoding is by the event's own model, so that nothing in a user's data is
ever taken for a type.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, from_json

from tracker.core.events import EVENTS, Event
from tracker.core.upcasters import upcast
from tracker.errors import PayloadError, UnreadableEvent


def _stored_topic(kind: type[Event]) -> str:
    return f"{kind.topic}/{kind.topic_version}"


_TOPICS = {kind: _stored_topic(kind) for kind in EVENTS.values()}
# Bound once: the attribute look-ups would cost as much as the short encodings do.
_ENCODERS = {kind: kind.__pydantic_serializer__.to_json for kind in EVENTS.values()}
_DECODERS = {
    _stored_topic(kind): kind.__pydantic_validator__.validate_json for kind in EVENTS.values()
}


def encode(event: Event) -> tuple[str, bytes]:
    """The topic and the JSON of an event.

    Raises PayloadError where a text in it is no text in any encoding (half a surrogate pair).
    """
    kind = type(event)
    try:
        return _TOPICS[kind], _ENCODERS[kind](event, exclude_defaults=True)
    except PydanticSerializationError as error:
        raise PayloadError(f"{kind.topic} cannot be written as JSON: {error}") from error


def decode(topic: str, state: bytes) -> Event:
    """The event of a stored topic and its JSON, in its newest shape.

    Raises UnreadableEvent where this release does not know the topic, or the JSON is not of it.
    """
    try:
        decoder = _DECODERS.get(topic)
        event: Event = decoder(state) if decoder else _decode_older(topic, state)
    except (ValidationError, LookupError, ValueError) as error:
        raise UnreadableEvent(
            f"an event of topic {topic!r} cannot be read by this release of runfold: {error}; "
            "if a newer release wrote it, use that one"
        ) from error
    return event


def _decode_older(topic: str, state: bytes) -> Event:
    name, _, version = topic.rpartition("/")
    kind = EVENTS.get(name)
    if kind is None or not version.isdecimal() or int(version) > kind.topic_version:
        raise LookupError(f"known topics are {', '.join(sorted(_DECODERS))}")
    fields: dict[str, Any] = from_json(state)
    return kind.model_validate(upcast(name, int(version), kind.topic_version, fields))
