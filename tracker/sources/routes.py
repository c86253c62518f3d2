"""Which call of an API a request is, by its method and path. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple
from urllib.parse import unquote

Call = Literal[
    "create", "retrieve", "update", "cancel", "submit_tool_outputs", "list", "step", "steps"
]


class Route(NamedTuple):
    """A call, and the ids that its path holds: None where it has none."""

    call: Call
    thread_id: str | None = None
    run_id: str | None = None


def run_route(method: str, path: str) -> Route | None:
    """The call of the Assistants API at a path below its address; None for what is none of runs."""
    match method, _segments(path):
        case "POST", ["threads", "runs"]:
            return Route("create")
        case "POST", ["threads", thread, "runs"]:
            return Route("create", thread)
        case "GET", ["threads", thread, "runs"]:
            return Route("list", thread)
        case "GET", ["threads", thread, "runs", run]:
            return Route("retrieve", thread, run)
        case "POST", ["threads", thread, "runs", run]:
            return Route("update", thread, run)
        case "POST", ["threads", thread, "runs", run, "cancel"]:
            return Route("cancel", thread, run)
        case "POST", ["threads", thread, "runs", run, "submit_tool_outputs"]:
            return Route("submit_tool_outputs", thread, run)
        case "GET", ["threads", thread, "runs", run, "steps"]:
            return Route("steps", thread, run)
        case "GET", ["threads", thread, "runs", run, "steps", _]:
            return Route("step", thread, run)
    return None


def response_route(method: str, path: str) -> Route | None:
    """The call of the Responses API at a path below its address; None for what is none."""
    match method, _segments(path):
        case "POST", ["responses"]:
            return Route("create")
        case "GET", ["responses", response]:
            return Route("retrieve", run_id=response)
        case "POST", ["responses", response, "cancel"]:
            return Route("cancel", run_id=response)
    return None


def _segments(path: str) -> Sequence[str]:
    segments = [unquote(segment) for segment in path.strip("/").split("/")]
    return segments if all(segments) else []
