"""Error responses of the simulated service, worded like those of the real one."""

from __future__ import annotations

from typing import Any, Literal

from tracker.errors import RunfoldError


class Refused(RunfoldError):
    """A request that the simulated service rejects with an error response.

    `kind` gives the status: "invalid" 400, "unknown" 404, "key" 401.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: Literal["invalid", "unknown", "key"] = "invalid",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.param = param
        self.code = code

    def body(self) -> dict[str, Any]:
        """Returns the JSON body of the error response."""
        return error_body(str(self), "invalid_request_error", self.param, self.code)


def error_body(
    message: str, type_: str, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """Returns the JSON body of an error response."""
    return {"error": {"message": message, "type": type_, "param": param, "code": code}}


def not_found_error(resource: str, id_: str) -> Refused:
    """Returns the error for an unknown thread, run, step or assistant."""
    return Refused(f"No {resource} found with id '{id_}'.", kind="unknown")


def missing_parameter_error(param: str) -> Refused:
    """Returns the error for a missing required parameter."""
    return Refused(
        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def wrong_type_error(param: str, expected: str, value: object) -> Refused:
    """Returns the error for a parameter of the wrong type."""
    names = {bool: "a boolean", int: "an integer", float: "a number", list: "an array"}
    got = names.get(type(value), "an object" if isinstance(value, dict) else "a string")
    got = "null" if value is None else got
    return Refused(
        f"Invalid type for '{param}': expected {expected}, but got {got} instead.",
        param=param,
        code="invalid_type",
    )


def wrong_value_error(param: str, message: str) -> Refused:
    """Returns the error for a parameter with an invalid value."""
    return Refused(f"Invalid '{param}': {message}", param=param, code="invalid_value")


def wrong_key_error(key: str | None) -> Refused:
    """Returns the error for a missing or wrong API key; repeats at most its first 3 characters."""
    if not key:
        return Refused("You didn't provide an API key.", kind="key", code="invalid_api_key")

    shown = key[:3] if len(key) > 12 else ""
    return Refused(
        f"Incorrect API key provided: {shown}{'*' * 8}.", kind="key", code="invalid_api_key"
    )


def check_metadata(metadata: object) -> dict[str, str]:
    """Validates metadata: at most 16 pairs, keys up to 64 and values up to 512 characters.

    Returns a copy. Raises Refused.
    """
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise wrong_type_error("metadata", "an object", metadata)
    if len(metadata) > 16:
        raise wrong_value_error("metadata", "at most 16 pairs are allowed.")

    for key, value in metadata.items():
        if not isinstance(value, str):
            raise wrong_type_error(f"metadata.{key}", "a string", value)
        if len(key) > 64:
            raise wrong_value_error("metadata", "a key has at most 64 characters.")
        if len(value) > 512:
            raise wrong_value_error(f"metadata.{key}", "a value has at most 512 characters.")
    return dict(metadata)
