"""What the simulated service refuses, in the words that clients know from the real one."""

from __future__ import annotations

from typing import Any, Literal

from tracker.errors import RunfoldError


class Refused(RunfoldError):
    """A request that the simulated service answers with an error; `kind` says of which sort."""

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
        """The JSON body of the answer."""
        return error_body(str(self), "invalid_request_error", self.param, self.code)


def error_body(
    message: str, type_: str, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """The JSON body of any error."""
    return {"error": {"message": message, "type": type_, "param": param, "code": code}}


def not_found(what: str, id_: str) -> Refused:
    """There is no such thread, run, step or assistant."""
    return Refused(f"No {what} found with id '{id_}'.", kind="unknown")


def missing_parameter(param: str) -> Refused:
    """A parameter is required and was not sent."""
    return Refused(
        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def wrong_type(param: str, expected: str, value: object) -> Refused:
    """A parameter is of another type."""
    names = {bool: "a boolean", int: "an integer", float: "a number", list: "an array"}
    got = names.get(type(value), "an object" if isinstance(value, dict) else "a string")
    got = "null" if value is None else got
    return Refused(
        f"Invalid type for '{param}': expected {expected}, but got {got} instead.",
        param=param,
        code="invalid_type",
    )


def wrong_value(param: str, message: str) -> Refused:
    """A parameter has a value that is not allowed."""
    return Refused(f"Invalid '{param}': {message}", param=param, code="invalid_value")


def wrong_key(key: str | None) -> Refused:
    """The API key is missing or wrong; no more of it is repeated than its first characters."""
    if not key:
        return Refused("You didn't provide an API key.", kind="key", code="invalid_api_key")

    shown = key[:3] if len(key) > 12 else ""
    return Refused(
        f"Incorrect API key provided: {shown}{'*' * 8}.", kind="key", code="invalid_api_key"
    )


def check_metadata(metadata: object) -> dict[str, str]:
    """Returns metadata that keeps to the limits: 16 pairs, keys to 64, values to 512 characters.

    Raises Refused.
    """
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise wrong_type("metadata", "an object", metadata)
    if len(metadata) > 16:
        raise wrong_value("metadata", "at most 16 pairs are allowed.")

    for key, value in metadata.items():
        if not isinstance(value, str):
            raise wrong_type(f"metadata.{key}", "a string", value)
        if len(key) > 64:
            raise wrong_value("metadata", "a key has at most 64 characters.")
        if len(value) > 512:
            raise wrong_value(f"metadata.{key}", "a value has at most 512 characters.")
    return dict(metadata)
