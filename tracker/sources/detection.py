"""The payload formats of all APIs, and the detection of a document's format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracker.errors import PayloadError
from tracker.sources.agents import snapshots as agents
from tracker.sources.assistants import snapshots as assistants
from tracker.sources.langgraph import snapshots as langgraph
from tracker.sources.payload_format import Api, PayloadFormat
from tracker.sources.responses import snapshots as responses

FORMATS = (assistants.FORMAT, responses.FORMAT, agents.FORMAT, langgraph.FORMAT)

# Some look-alikes call a run of any API so.
_ANY_RUN = "run"
_OBJECTS: dict[str, Api] = {
    assistants.RUN_OBJECT: Api.assistants,
    responses.RESPONSE_OBJECT: Api.responses,
    agents.TURN_OBJECT: Api.agents,
}
# Without an `object`, one of these shows that an object with an id and a status is a run.
_SIGNS: dict[Api, frozenset[str]] = {
    Api.assistants: frozenset(("thread_id", "assistant_id")),
    Api.responses: frozenset(
        ("output", "model", "previous_response_id", "background", "conversation")
    ),
    Api.agents: frozenset(("session_id", "agent_id")),
    Api.langgraph: frozenset(("thread_id", "assistant_id")),
}
_STEP_TYPES = ("message_creation", "tool_calls")


def detect_format(document: Mapping[str, Any]) -> PayloadFormat:
    """Returns the format of a run of unknown origin.

    Raises PayloadError, with the name of the object, if no format recognises it.
    """
    found = next((it for it in FORMATS if it.recognises(document)), None)
    if found is None:
        raise PayloadError(describe_other(document))
    return found


def check_run(document: Mapping[str, Any], api: Api) -> None:
    """Raises PayloadError, with the name of the object, unless a document is a run of an API."""
    object_type = document.get("object")
    if object_type in (None, _ANY_RUN):
        if is_step(document) or not _SIGNS[api] & document.keys():
            raise PayloadError(describe_other(document))
    elif not (isinstance(object_type, str) and _OBJECTS.get(object_type) is api):
        raise PayloadError(describe_other(document, api))


def is_step(document: Mapping[str, Any]) -> bool:
    """True if a document of unknown origin is a step of a run of the Assistants API."""
    object_type = document.get("object")
    if object_type is not None:
        return bool(object_type == assistants.STEP_OBJECT)
    is_typed = "step_details" in document or document.get("type") in _STEP_TYPES
    return is_typed and {"id", "run_id", "status"} <= document.keys()


def names_other_object(document: Mapping[str, Any]) -> bool:
    """True if a document says that it is something else than a run."""
    object_type = document.get("object")
    is_run = object_type in (None, _ANY_RUN)
    return not is_run and not (isinstance(object_type, str) and object_type in _OBJECTS)


def describe_other(document: Mapping[str, Any], api: Api | None = None) -> str:
    """Returns what a document is, in words, in place of a run (of an API)."""
    object_type = document.get("object")
    if is_step(document):
        return "a step, not a run"
    if object_type in (None, _ANY_RUN):
        missing = [it for it in ("id", "status") if it not in document]
        lacks = f"{' and '.join(missing)} missing" if missing else "it has an id and a status alone"
        return f"not a run: {lacks}, and no `object` that names one"
    if not isinstance(object_type, str):
        return f"not a run: `object` is {type(object_type).__name__}, not a text"
    article = "an" if object_type[:1].lower() in "aeiou" else "a"
    expected = "a run" if api is None or object_type not in _OBJECTS else f"a run of {api.value}"
    return f"{article} {object_type[:80]}, not {expected}"
