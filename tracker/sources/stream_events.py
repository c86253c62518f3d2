"""Runs and steps in the events of streams of the Assistants and the Responses API.

Other events, deltas by the thousand among them, are recognised by their names and not decoded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from tracker.core.status import is_ended
from tracker.errors import PayloadError
from tracker.sources.assistants.snapshots import RUN_OBJECT, STEP_OBJECT
from tracker.sources.detection import is_step
from tracker.sources.documents import as_document

_RESPONSE = re.compile(r"response\.\w+")
_RUN = re.compile(r"thread\.run\.\w+")
_ENDED_STEP = re.compile(r"thread\.run\.step\.(completed|failed|cancelled|expired)")
# Data of an event without a name is decoded only if it contains one of these.
_MARKS = (b'"response"', b'"thread.run"', b'"thread.run.step"')


class StreamPayload(NamedTuple):
    """A run, or a step, as a body for `snapshot` or `steps_snapshot`."""

    # "document": it came without an event that says that it is a run.
    kind: Literal["run", "step", "document"]
    body: Mapping[str, Any]


def payload_in(event: object) -> StreamPayload | None:
    """Returns the run or the ended step in an event, None if it has neither.

    Accepts parsed server-sent events, mappings with `type` or `event`, and objects of client
    packages with these attributes. Raises PayloadError for malformed data.
    """
    name, event_type = _field(event, "event"), _field(event, "type")
    name = name if isinstance(name, str) else ""
    event_type = event_type if isinstance(event_type, str) else ""
    if _RESPONSE.fullmatch(event_type):
        return _run_in({"response": _field(event, "response")})
    data = _field(event, "data")
    if not name or name == "message":
        return _payload_without_name(data)
    if _RESPONSE.fullmatch(name):
        return _run_in(_object(data))
    if _RUN.fullmatch(name):
        return StreamPayload("run", _object(data))
    if _ENDED_STEP.fullmatch(name):
        return StreamPayload("step", _object(data))
    return None


def find_payload(document: Mapping[str, Any]) -> StreamPayload | None:
    """Returns the run or the step that a document is, or that it shows as an event of a stream.

    None for an event that shows neither. Raises PayloadError as `payload_in` does.
    """
    if is_event(document):
        return payload_in(document)
    return StreamPayload("step" if is_step(document) else "document", document)


def is_event(document: Mapping[str, Any]) -> bool:
    """True if a document is an event of a stream, and not a run itself."""
    names = [document.get("event"), document.get("type")]
    return "object" not in document and any(
        isinstance(name, str) and name.startswith(("response.", "thread.")) for name in names
    )


def _payload_without_name(data: object) -> StreamPayload | None:
    """Returns the payload of an event without a name, as some look-alikes send them."""
    if isinstance(data, str):
        data = data.encode("utf-8", "replace")
    if not isinstance(data, bytes) or not any(mark in data for mark in _MARKS):
        return None
    document = _object(data)
    event_type = document.get("type")
    if isinstance(event_type, str):
        return _run_in(document) if _RESPONSE.fullmatch(event_type) else None
    if document.get("object") == RUN_OBJECT:
        return StreamPayload("run", document)
    if document.get("object") == STEP_OBJECT and is_ended(str(document.get("status"))):
        return StreamPayload("step", document)
    return None


def _run_in(document: Mapping[str, Any]) -> StreamPayload | None:
    response = document.get("response")
    return None if response is None else StreamPayload("run", _object(response))


def _object(data: object) -> Mapping[str, Any]:
    try:
        return as_document(data)
    except PayloadError as error:
        reason = str(error)
    raise PayloadError(f"not the data of an event: {reason}")


def _field(event: object, name: str) -> object:
    return event.get(name) if isinstance(event, Mapping) else getattr(event, name, None)
