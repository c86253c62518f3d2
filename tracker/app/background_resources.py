"""The resources of a tracker for code without an event loop: the same calls, which block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from tracker.app.portal import Caller
from tracker.capture.responses import CapturedResponses
from tracker.capture.runs import CapturedRuns
from tracker.sources.assistants.models import Run, RunStep
from tracker.sources.http.pages import Page
from tracker.sources.responses.models import Response

Item = TypeVar("Item", bound=Run | RunStep)


class BackgroundRuns:
    """`CapturedRuns` with blocking methods, which raise the same errors."""

    def __init__(self, call: Caller, runs: Callable[[], CapturedRuns]) -> None:
        self._call = call
        self._runs = runs
        self.steps = BackgroundSteps(call, runs)

    def create(self, thread_id: str, *, assistant_id: str, **settings: Any) -> Run:
        """Creates a run and watches it."""
        return self._call(
            lambda: self._runs().create(thread_id, assistant_id=assistant_id, **settings)
        )

    def retrieve(self, thread_id: str, run_id: str) -> Run:
        """Retrieves a run."""
        return self._call(lambda: self._runs().retrieve(thread_id, run_id))

    def update(self, thread_id: str, run_id: str, *, metadata: Mapping[str, str] | None) -> Run:
        """Changes the metadata of a run."""
        return self._call(lambda: self._runs().update(thread_id, run_id, metadata=metadata))

    def cancel(self, thread_id: str, run_id: str) -> Run:
        """Requests the cancellation of a run, which is watched until it has ended."""
        return self._call(lambda: self._runs().cancel(thread_id, run_id))

    def submit_tool_outputs(
        self, thread_id: str, run_id: str, tool_outputs: Iterable[Mapping[str, Any]], **more: Any
    ) -> Run:
        """Submits the outputs of all calls that a run waits for, and watches it continue."""
        outputs = list(tool_outputs)
        return self._call(
            lambda: self._runs().submit_tool_outputs(thread_id, run_id, outputs, **more)
        )

    def list(self, thread_id: str, **query: Any) -> BackgroundPage[Run]:
        """Returns a page of a thread's runs; it and each page that follows are recorded."""
        return BackgroundPage(self._call, self._call(lambda: self._runs().list(thread_id, **query)))


class BackgroundResponses:
    """`CapturedResponses` with blocking methods, which raise the same errors."""

    def __init__(self, call: Caller, responses: Callable[[], CapturedResponses]) -> None:
        self._call = call
        self._responses = responses

    def create(self, **settings: Any) -> Response:
        """Creates a response and watches it."""
        return self._call(lambda: self._responses().create(**settings))

    def retrieve(self, response_id: str) -> Response:
        """Retrieves a response."""
        return self._call(lambda: self._responses().retrieve(response_id))

    def cancel(self, response_id: str) -> Response:
        """Cancels a response, which is watched until it has ended."""
        return self._call(lambda: self._responses().cancel(response_id))


class BackgroundSteps:
    """The steps of runs; see `CapturedSteps`."""

    def __init__(self, call: Caller, runs: Callable[[], CapturedRuns]) -> None:
        self._call = call
        self._runs = runs

    def retrieve(self, thread_id: str, run_id: str, step_id: str, **query: Any) -> RunStep:
        """Retrieves a step."""
        return self._call(lambda: self._runs().steps.retrieve(thread_id, run_id, step_id, **query))

    def list(self, thread_id: str, run_id: str, **query: Any) -> BackgroundPage[RunStep]:
        """Returns a page of a run's steps; it and each page that follows are recorded."""
        return BackgroundPage(
            self._call, self._call(lambda: self._runs().steps.list(thread_id, run_id, **query))
        )


class BackgroundPage(Generic[Item]):
    """A page of a list.

    Iterating yields the items of this page and of those that follow; each page is requested when
    it is reached.
    """

    def __init__(self, call: Caller, page: Page[Item]) -> None:
        self._call = call
        self._page = page

    @property
    def data(self) -> list[Item]:
        """The items of this page alone."""
        return self._page.data

    @property
    def has_more(self) -> bool:
        """True if other pages follow."""
        return bool(self._page.has_more)

    def __iter__(self) -> Iterator[Item]:
        items = aiter(self._page)

        async def next_item() -> Item | None:
            return await anext(items, None)

        while (item := self._call(next_item)) is not None:
            yield item
