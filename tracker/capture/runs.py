"""The Assistants resource, captured: what our own calls show is recorded at once.

An answer to a call of ours is an observation that costs no request. The calls, their arguments
and their errors are those of `tracker.sources.Assistants`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tracker.capture.recorder import RunAnswers
from tracker.session import Session
from tracker.sources.assistants.models import Run, RunStep
from tracker.sources.assistants.pages import RunPage, StepPage
from tracker.sources.assistants.resource import Assistants


class CapturedRuns:
    """`Assistants`, with everything that its answers show recorded, and its own runs watched."""

    def __init__(
        self, api: Assistants, session: Session, check: Callable[[], object] = lambda: None
    ) -> None:
        self._given = api
        self._check = check
        self._answers = RunAnswers(api, session)
        self.steps = CapturedSteps(api, self._answers, check)

    @property
    def _api(self) -> Assistants:
        # Nothing is asked for a tracker that is not open, or not in this process.
        self._check()
        return self._given

    async def create(self, thread_id: str, *, assistant_id: str, **settings: Any) -> Run:
        """Creates a run, which is watched from here on."""
        run = await self._api.create(thread_id, assistant_id=assistant_id, **settings)
        await self._answers.seen(run, watch=True, thread_id=thread_id)
        return run

    async def retrieve(self, thread_id: str, run_id: str) -> Run:
        """Retrieves a run."""
        run = await self._api.retrieve(thread_id, run_id)
        await self._answers.seen(run)
        return run

    async def update(
        self, thread_id: str, run_id: str, *, metadata: Mapping[str, str] | None
    ) -> Run:
        """Changes the metadata of a run."""
        run = await self._api.update(thread_id, run_id, metadata=metadata)
        await self._answers.seen(run)
        return run

    async def cancel(self, thread_id: str, run_id: str) -> Run:
        """Asks for the cancellation of a run, which is watched until it came to it."""
        run = await self._api.cancel(thread_id, run_id)
        await self._answers.seen(run, watch=True, thread_id=thread_id)
        return run

    async def submit_tool_outputs(
        self, thread_id: str, run_id: str, tool_outputs: Iterable[Mapping[str, Any]], **more: Any
    ) -> Run:
        """Sends the outputs of all calls that a run waits for, and watches it go on."""
        outputs = list(tool_outputs)
        run = await self._api.submit_tool_outputs(thread_id, run_id, outputs, **more)
        # Azure takes the answer to an approval beside the outputs.
        answers = [*outputs, *more.get("tool_approvals", ())]
        await self._answers.submitted(run, thread_id, answers)
        return run

    async def list(self, thread_id: str, **query: Any) -> RunPage:
        """A page of a thread's runs; it and each page that it turns to are recorded."""
        page = await self._api.list(thread_id, **query)

        async def record(page: RunPage) -> None:
            await self._answers.all_seen(page.data)

        page.on_next_page(record)
        await record(page)
        return page


class CapturedSteps:
    """The steps of runs, captured: those that have ended are recorded, for runs that are known."""

    def __init__(self, api: Assistants, answers: RunAnswers, check: Callable[[], object]) -> None:
        self._api = api
        self._answers = answers
        self._check = check

    async def retrieve(self, thread_id: str, run_id: str, step_id: str, **query: Any) -> RunStep:
        """Retrieves a step."""
        self._check()
        step = await self._api.steps.retrieve(thread_id, run_id, step_id, **query)
        await self._answers.steps_seen(run_id, [step])
        return step

    async def list(self, thread_id: str, run_id: str, **query: Any) -> StepPage:
        """A page of a run's steps; it and each page that it turns to are recorded."""
        self._check()
        page = await self._api.steps.list(thread_id, run_id, **query)

        async def record(page: StepPage) -> None:
            await self._answers.steps_seen(run_id, page.data)

        page.on_next_page(record)
        await record(page)
        return page
