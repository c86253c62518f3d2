"""Answers to requests that others sent, read and checked as those to our own are. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tracker.errors import PayloadError
from tracker.sources.answer import Answer
from tracker.sources.asking import answered, check, page_of
from tracker.sources.documents import decode
from tracker.sources.models import Run, RunStep
from tracker.sources.pages import RunPage, StepPage
from tracker.sources.response_snapshots import RESPONSE_OBJECT, Response
from tracker.sources.routes import Route
from tracker.sources.snapshots import RUN_OBJECT
from tracker.sources.steps import STEP_OBJECT


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
    def request(self) -> dict[str, Any]:
        """The JSON object that was sent; empty where none was."""
        try:
            return decode(self.sent)[0]
        except PayloadError:
            return {}

    def run(self) -> Run:
        """The run that was created, asked for or changed."""
        document, _ = decode(self.answer.body)
        check(self.asked, document, self._expected(RUN_OBJECT, id=self.route.run_id))
        return answered(Run, self.answer, document, self.asked)

    def runs(self) -> RunPage:
        """A page of a thread's runs."""
        document, _ = decode(self.answer.body)
        return page_of(RunPage, self.answer, document, self.asked, self._expected(RUN_OBJECT))

    def step(self) -> RunStep:
        """A step of a run."""
        document, _ = decode(self.answer.body)
        check(self.asked, document, self._expected(STEP_OBJECT, run_id=self.route.run_id))
        return answered(RunStep, self.answer, document, self.asked)

    def steps(self) -> StepPage:
        """A page of a run's steps."""
        document, _ = decode(self.answer.body)
        expected = self._expected(STEP_OBJECT, run_id=self.route.run_id)
        return page_of(StepPage, self.answer, document, self.asked, expected)

    def response(self) -> Response:
        """The response that was created, asked for or cancelled."""
        document, _ = decode(self.answer.body)
        check(self.asked, document, self._expected(RESPONSE_OBJECT, id=self.route.run_id))
        return answered(Response, self.answer, document, self.asked)

    def _expected(self, kind: str, **ids: str | None) -> dict[str, str]:
        known = {"object": kind, "thread_id": self.route.thread_id, **ids}
        return {name: value for name, value in known.items() if value is not None}
