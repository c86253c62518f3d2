"""Decoding, encoding and validation of JSON documents, with errors that name the fault."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from tracker.core.json_values import storable
from tracker.errors import PayloadError, SettingsError

Model = TypeVar("Model", bound=BaseModel)

# Fewer levels than the parser reads, and more than a snapshot keeps, which names the field.
_PARSED_LEVELS = 128
# Python takes long to read integers of many digits; 64 bits have 19.
_INTEGER_DIGITS = 1000
_ID_FIELDS = frozenset(
    ("id", "run_id", "thread_id", "session_id", "previous_response_id", "call_id", "tool_call_id")
)
_SURROGATE = re.compile("[\ud800-\udfff]")


class ClientModel(Protocol):
    """An object of a client package, such as `openai`: a model of pydantic."""

    def model_dump(self, *args: Any, **kwargs: Any) -> Any:
        """Returns its fields."""
        ...


def decode(payload: Mapping[str, Any] | bytes | str) -> Mapping[str, Any]:
    """Returns the JSON object in a payload; a mapping is returned as it is.

    Repairs what strict parsers and databases refuse: half a surrogate pair becomes a question
    mark, and an id that has one becomes null; a byte order mark is removed, and null stands for
    what is nested deeper than 128 levels, and for an integer of over 1,000 digits. Raises
    PayloadError if the payload is not a JSON object.
    """
    if isinstance(payload, Mapping):
        return payload
    body = payload.encode("utf-8", "surrogatepass") if isinstance(payload, str) else payload
    return decode_body(body)[0]


def decode_value(body: bytes) -> Any:
    """Returns the JSON value in a body, repaired as by `decode`. Raises PayloadError."""
    return _parse(body)[0]


def as_document(payload: object) -> Mapping[str, Any]:
    """Returns the JSON object in bytes, a text, a mapping, or an object of a client package.

    Raises PayloadError as `decode` does, and for anything else.
    """
    if isinstance(payload, Mapping | bytes | str):
        return decode(payload)
    if isinstance(payload, bytearray | memoryview):
        return decode(bytes(payload))
    dump = getattr(payload, "model_dump", None)
    reason = ""
    if callable(dump):
        try:
            # Models of client packages may hold values that their types do not know.
            found = dump(mode="json", exclude_unset=True, warnings=False)
        except (TypeError, ValueError, RecursionError) as error:
            reason = f" that cannot be written as JSON ({type(error).__name__})"
        else:
            if isinstance(found, dict):
                return found
    raise PayloadError(f"not a JSON object, but {type(payload).__name__}{reason}")


def decode_body(body: bytes) -> tuple[dict[str, Any], bytes]:
    """Returns the JSON object in a body, and the body, repaired as by `decode` if need be."""
    document, body = _parse(body)
    if not isinstance(document, dict):
        raise PayloadError(f"not a JSON object, but {_json_type(document)}")
    return document, body


def decode_list(body: bytes) -> list[Any]:
    """Returns the JSON array in a body, empty for null. Raises PayloadError as `decode` does."""
    entries, _ = _parse(body)
    if entries is None:
        # So do services in Go write an empty list.
        return []
    if not isinstance(entries, list):
        raise PayloadError(f"not a JSON array, but {_json_type(entries)}")
    return entries


def decode_page(body: bytes) -> dict[str, Any]:
    """Returns the JSON object in a body; a bare array is its `data`. Raises PayloadError."""
    page, _ = _parse(body)
    if isinstance(page, list):
        return {"data": page}
    if not isinstance(page, dict):
        raise PayloadError(f"not a page of a list, but {_json_type(page)}")
    return page


def objects_in(value: object) -> list[dict[str, Any]]:
    """Returns the objects in a list; nothing for a value that is not a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def pick(document: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Returns the fields of a document that have these names."""
    return {name: document[name] for name in names if name in document}


def encode(document: Mapping[str, Any]) -> bytes:
    """Returns the JSON text of a request. Raises SettingsError for values that JSON cannot hold."""
    try:
        return to_json(document)
    except ValueError as error:
        raise SettingsError(f"the request cannot be written as JSON: {error}") from None


def validate(model: type[Model], document: object, what: str) -> Model:
    """Returns `document` as a model. Raises PayloadError naming the missing or wrong fields.

    `what` names the model in the error: "not a run: …".
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        reason = describe_errors(error)
    raise PayloadError(f"not {what}: {reason}")


def describe_errors(error: ValidationError, at_most: int = 3) -> str:
    """Returns the fields that failed a validation, and the reasons, without the values."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    texts = [f"{'.'.join(map(str, item['loc'])) or 'document'}: {item['msg']}" for item in found]
    more = f" and {len(texts) - at_most} more" if len(texts) > at_most else ""
    return "; ".join(texts[:at_most]) + more


def _json_type(value: object) -> str:
    names = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        type(None): "null",
    }
    return names.get(type(value), "a number")


def _parse_integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _INTEGER_DIGITS else None


def _drop_damaged_ids(value: Any, levels: int = _PARSED_LEVELS) -> None:
    """Replaces each id with half a surrogate pair by null: two would become one."""
    if levels == 0 or not isinstance(value, dict | list):
        return
    for name, item in value.items() if isinstance(value, dict) else enumerate(value):
        if name in _ID_FIELDS and isinstance(item, str) and _SURROGATE.search(item):
            value[name] = None
        else:
            _drop_damaged_ids(item, levels - 1)


def _parse(body: bytes) -> tuple[Any, bytes]:
    """Returns the JSON value of a body, and the body in UTF-8 without half surrogate pairs.

    Services that cut texts by UTF-16 units escape such halves into their JSON. One deep field
    makes neither the others unreadable, nor the other documents of its page.
    """
    # Not raised within `except`: the body, which may hold a key, would be context of the error.
    try:
        return from_json(body), body
    except ValueError as error:
        reason = str(error)
    with suppress(ValueError, RecursionError):
        document = json.loads(body, parse_int=_parse_integer)
        _drop_damaged_ids(document)
        document = storable(document, _PARSED_LEVELS)
        body = json.dumps(document, ensure_ascii=False).encode()
        return from_json(body), body
    raise PayloadError(f"not JSON: {reason}")
