"""Which events of a stream show a run or a step, of the Assistants and the Responses API. Pure.

The others, deltas by the thousand among them, are told by their names and not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from tracker.core.status import is_ended
from tracker.errors import PayloadError
from tracker.sources.assistants.snapshots import RUN_OBJECT, STEP_OBJECT
from tracker.sources.documents import decode

_RESPONSE = re.compile(r"response\.\w+")
_RUN = re.compile(r"thread\.run\.\w+")
_ENDED_STEP = re.compile(r"thread\.run\.step\.(completed|failed|cancelled|expired)")
# What the data of an event without a name has to have in it to be worth reading.
_MARKS = (b'"response"', b'"thread.run"', b'"thread.run.step"')


class StreamPayload(NamedTuple):
    """What an event shows: a run, or a step that has ended, as a body that a source takes."""

    kind: Literal["run", "step"]
    body: Mapping[str, Any]


def payload_in(event: object) -> StreamPayload | None:
    """What an event shows, None where it is neither a run nor the end of a step.

    Takes an event off the wire, a mapping with `type` or `event`, and the objects of client
    packages, which have these as attributes. Raises PayloadError for data that cannot be read.
    """
    name, kind = _part(event, "event"), _part(event, "type")
    name = name if isinstance(name, str) else ""
    kind = kind if isinstance(kind, str) else ""
    if _RESPONSE.fullmatch(kind):
        return _run_in({"response": _part(event, "response")})
    data = _part(event, "data")
    if not name or name == "message":
        return _unnamed(data)
    if _RESPONSE.fullmatch(name):
        return _run_in(_object(data))
    if _RUN.fullmatch(name):
        return StreamPayload("run", _object(data))
    if _ENDED_STEP.fullmatch(name):
        return StreamPayload("step", _object(data))
    return None


def is_event(document: Mapping[str, Any]) -> bool:
    """Whether a document is an event of a stream, and no run by itself."""
    names = [document.get("event"), document.get("type")]
    return "object" not in document and any(
        isinstance(name, str) and name.startswith(("response.", "thread.")) for name in names
    )


def _unnamed(data: object) -> StreamPayload | None:
    """What data show that came without a name, as some look-alikes send them."""
    if isinstance(data, str):
        data = data.encode("utf-8", "replace")
    if not isinstance(data, bytes) or not any(mark in data for mark in _MARKS):
        return None
    document = _object(data)
    kind = document.get("type")
    if isinstance(kind, str):
        return _run_in(document) if _RESPONSE.fullmatch(kind) else None
    if document.get("object") == RUN_OBJECT:
        return StreamPayload("run", document)
    if document.get("object") == STEP_OBJECT and is_ended(str(document.get("status"))):
        return StreamPayload("step", document)
    return None


def _run_in(document: Mapping[str, Any]) -> StreamPayload | None:
    response = document.get("response")
    return None if response is None else StreamPayload("run", _object(response))


def _object(data: object) -> Mapping[str, Any]:
    if isinstance(data, Mapping | bytes | str):
        return decode(data)
    dump = getattr(data, "model_dump", None)
    # Of a client package: it may hold values that its types do not know.
    found = None if dump is None else dump(mode="json", exclude_unset=True, warnings=False)
    if not isinstance(found, dict):
        raise PayloadError(f"a {type(data).__name__}, where the object of an event belongs")
    return found


def _part(event: object, name: str) -> object:
    return event.get(name) if isinstance(event, Mapping) else getattr(event, name, None)
