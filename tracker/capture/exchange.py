"""Answers to requests that others sent, read and checked as those to our own are. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

from tracker.errors import PayloadError
from tracker.sources.answer import Answer
from tracker.sources.assistants.models import Run, RunStep
from tracker.sources.assistants.pages import RunPage, StepPage
from tracker.sources.assistants.snapshots import RUN_OBJECT, STEP_OBJECT
from tracker.sources.documents import decode, decode_body
from tracker.sources.http.pages import PageType, read_page
from tracker.sources.responses.snapshots import RESPONSE_OBJECT, Response
from tracker.sources.wire import Document, check_entity, read_answer

Call = Literal[
    "create", "retrieve", "update", "cancel", "submit_tool_outputs", "list", "step", "steps"
]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request of somebody's for `asked` (a method and a path), and its whole answer.

    `target` is the path with its query, and `sent` what was sent with it. What its methods give
    knows the answer that it came in; they raise UnusableAnswer and PayloadError where it is
    something else.
    """

    route: Route
    asked: str
    answer: Answer
    target: str = field(repr=False)
    sent: bytes = field(default=b"", repr=False)

    @property
    def request(self) -> Mapping[str, Any]:
        """The JSON object that was sent; empty where none was."""
        try:
            return decode(self.sent)
        except PayloadError:
            return {}

    def run(self) -> Run:
        """The run that was created, asked for or changed."""
        return self._read(Run, RUN_OBJECT, id=self.route.run_id)

    def runs(self) -> RunPage:
        """A page of a thread's runs."""
        return self._read_page(RunPage, RUN_OBJECT)

    def step(self) -> RunStep:
        """A step of a run."""
        return self._read(RunStep, STEP_OBJECT, run_id=self.route.run_id)

    def steps(self) -> StepPage:
        """A page of a run's steps."""
        return self._read_page(StepPage, STEP_OBJECT, run_id=self.route.run_id)

    def response(self) -> Response:
        """The response that was created, asked for or cancelled."""
        return self._read(Response, RESPONSE_OBJECT, id=self.route.run_id)

    def _read(self, model: type[Document], object_type: str, **ids: str | None) -> Document:
        document, _ = decode_body(self.answer.body)
        check_entity(self.asked, document, self._expected(object_type, ids))
        return read_answer(model, self.answer, document, self.asked)

    def _read_page(
        self, page_type: type[PageType], object_type: str, **ids: str | None
    ) -> PageType:
        document, _ = decode_body(self.answer.body)
        expected = self._expected(object_type, ids)
        return read_page(page_type, self.answer, document, self.asked, expected)

    def _expected(self, object_type: str, ids: Mapping[str, str | None]) -> dict[str, str]:
        known = {"object": object_type, "thread_id": self.route.thread_id, **ids}
        return {name: value for name, value in known.items() if value is not None}


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
