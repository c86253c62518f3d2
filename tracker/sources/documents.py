"""JSON objects from bytes, and what is wrong with them in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from tracker.errors import PayloadError, SettingsError

Model = TypeVar("Model", bound=BaseModel)


def decode(body: bytes) -> tuple[dict[str, Any], bytes]:
    """Returns the JSON object in a body, and the body, mended if need be. Raises PayloadError."""
    document, body = _parse(body)
    if not isinstance(document, dict):
        raise PayloadError(f"expected a JSON object, got {_json_type(document)}")
    return document, body


def decode_list(body: bytes) -> list[Any]:
    """Returns the JSON array in a body, mended if need be. Raises PayloadError."""
    entries, _ = _parse(body)
    if not isinstance(entries, list):
        raise PayloadError(f"expected a JSON array, got {_json_type(entries)}")
    return entries


def objects_in(value: object) -> list[dict[str, Any]]:
    """The objects in a list; none where it is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def document_in(body: bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    """The JSON object that a body is, or has been decoded to. Raises PayloadError."""
    return decode(body)[0] if isinstance(body, bytes) else body


def encode(document: Mapping[str, Any]) -> bytes:
    """The JSON text of a request. Raises SettingsError for what JSON cannot hold."""
    try:
        return to_json(document)
    except ValueError as error:
        raise SettingsError(f"the request cannot be written as JSON: {error}") from None


def read(model: type[Model], document: object, what: str) -> Model:
    """`document` as a model. Raises PayloadError naming the fields that are missing or wrong."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        why = complaints(error)
    raise PayloadError(f"not {what}: {why}")


def complaints(error: ValidationError, at_most: int = 3) -> str:
    """The fields that a validation failed on, and why, without the values."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    texts = [f"{'.'.join(map(str, item['loc'])) or 'document'}: {item['msg']}" for item in found]
    more = f" and {len(texts) - at_most} more" if len(texts) > at_most else ""
    return "; ".join(texts[:at_most]) + more


def _parse(body: bytes) -> tuple[Any, bytes]:
    """Returns the JSON value of a body, and the body in UTF-8 that every reader and database takes.

    Half a surrogate pair, which a service that cuts texts by UTF-16 units escapes into its JSON,
    becomes a question mark; a byte order mark is removed.
    """
    # Raised outside of `except`: as context of the error, the body would stay, which may hold a key.
    with suppress(ValueError):
        return from_json(body), body
    with suppress(ValueError, RecursionError):
        body = json.dumps(json.loads(body), ensure_ascii=False).encode("utf-8", "replace")
        return from_json(body), body
    raise PayloadError("expected JSON, got something else or less than a whole")


def _json_type(value: object) -> str:
    names = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        type(None): "null",
    }
    return names.get(type(value), "a number")


def decoded(payload: Mapping[str, Any] | bytes | str) -> Mapping[str, Any]:
    """A document as the JSON object that it is. Raises PayloadError where it is none."""
    if isinstance(payload, Mapping):
        return payload
    try:
        body = from_json(payload)
    except ValueError as error:
        raise PayloadError(f"not JSON: {error}") from None
    if not isinstance(body, dict):
        raise PayloadError(f"a {type(body).__name__}, where a JSON object of a run belongs")
    return body
