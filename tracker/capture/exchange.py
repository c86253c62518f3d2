"""Requests of the application's own client about runs, and the reading of their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

from tracker.core.state import UNKNOWN_VERSION
from tracker.errors import PayloadError
from tracker.sources.answer import Answer
from tracker.sources.asked import check_answer
from tracker.sources.assistants.models import Run, RunStep
from tracker.sources.assistants.pages import RunPage, StepPage
from tracker.sources.assistants.resource import Assistants
from tracker.sources.assistants.snapshots import RUN_OBJECT, STEP_OBJECT
from tracker.sources.documents import decode, decode_body
from tracker.sources.http.pages import PageType, read_page
from tracker.sources.responses.models import Response
from tracker.sources.responses.resource import Responses
from tracker.sources.responses.snapshots import RESPONSE_OBJECT
from tracker.sources.wire import Document, check_entity, read_answer

# The sources whose calls can be captured.
CapturedSource = Assistants | Responses
Call = Literal[
    "create", "retrieve", "update", "cancel", "submit_tool_outputs", "list", "step", "steps"
]


class Route(NamedTuple):
    """A call of an API, and the ids in its path."""

    call: Call
    thread_id: str | None = None
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request about runs and its complete answer.

    Its methods check the answer as those of our own requests are checked. They raise
    UnusableAnswer and PayloadError if it is about something else.
    """

    route: Route
    # Method and path, for errors.
    request: str
    answer: Answer
    # Path and query.
    target: str = field(repr=False)
    # The body of the request.
    sent: bytes = field(default=b"", repr=False)
    # The version of the run that was known when the request was sent.
    known: int = UNKNOWN_VERSION

    @property
    def sent_document(self) -> Mapping[str, Any]:
        """The JSON object in the request; empty if there is none."""
        try:
            return decode(self.sent)
        except PayloadError:
            return {}

    def read_run(self) -> Run:
        """Returns the run that was created, requested or changed."""
        return self._read(Run, RUN_OBJECT, id=self.route.run_id)

    def read_runs(self) -> RunPage:
        """Returns a page of a thread's runs."""
        return self._read_page(RunPage, RUN_OBJECT)

    def read_step(self) -> RunStep:
        """Returns a step of a run."""
        return self._read(RunStep, STEP_OBJECT, run_id=self.route.run_id)

    def read_steps(self) -> StepPage:
        """Returns a page of a run's steps."""
        return self._read_page(StepPage, STEP_OBJECT, run_id=self.route.run_id)

    def read_response(self) -> Response:
        """Returns the response that was created, requested or cancelled."""
        return self._read(Response, RESPONSE_OBJECT, id=self.route.run_id)

    def _read(self, model: type[Document], object_type: str, **ids: str | None) -> Document:
        document, _ = decode_body(self.answer.body)
        answer, run_id = self.answer, self.route.run_id
        if self.route.call == "retrieve" and run_id is not None:
            expected = self._expected_fields(object_type, {})
            answer, document = check_answer(self.request, answer, document, run_id, expected)
        else:
            check_entity(self.request, document, self._expected_fields(object_type, ids))
        return read_answer(model, answer, document, self.request)

    def _read_page(
        self, page_type: type[PageType], object_type: str, **ids: str | None
    ) -> PageType:
        document, _ = decode_body(self.answer.body)
        expected = self._expected_fields(object_type, ids)
        return read_page(page_type, self.answer, document, self.request, expected)

    def _expected_fields(self, object_type: str, ids: Mapping[str, str | None]) -> dict[str, str]:
        known = {"object": object_type, "thread_id": self.route.thread_id, **ids}
        return {name: value for name, value in known.items() if value is not None}


def find_route(source: CapturedSource, request: Any) -> Route | None:
    """Returns the call of a request (of httpx) to a source; None if it is not about runs."""
    path = source.path_below(request.url)
    if path is None:
        return None
    route = run_route if isinstance(source, Assistants) else response_route
    return route(request.method, path)


def run_route(method: str, path: str) -> Route | None:
    """Parses a request path of the Assistants API; None if it is not about runs."""
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
    """Parses a request path of the Responses API; None if it is not about responses."""
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
