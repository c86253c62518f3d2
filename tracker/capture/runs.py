"""The Assistants resource with recording: the answers to our own calls are observations.

Such an observation costs no request. The calls, their arguments and their errors are those of
`tracker.sources.Assistants`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tracker.capture.recorder import RunCallRecorder
from tracker.session import Session
from tracker.sources.assistants.models import Run, RunStep
from tracker.sources.assistants.pages import RunPage, StepPage
from tracker.sources.assistants.resource import Assistants


class CapturedRuns:
    """`Assistants` whose answers are recorded, and whose runs that we change are watched.

    `check` is called before each request, and raises SettingsError if the tracker is not open in
    this process.
    """

    def __init__(
        self, assistants: Assistants, session: Session, check: Callable[[], object] = lambda: None
    ) -> None:
        self._unchecked = assistants
        self._check = check
        self._recorder = RunCallRecorder(assistants, session)
        self.steps = CapturedSteps(assistants, self._recorder, check)

    @property
    def _assistants(self) -> Assistants:
        self._check()
        return self._unchecked

    async def create(self, thread_id: str, *, assistant_id: str, **settings: Any) -> Run:
        """Creates a run, and watches it."""
        run = await self._assistants.create(thread_id, assistant_id=assistant_id, **settings)
        await self._recorder.record(run, watch=True, thread_id=thread_id, call="create")
        return run

    async def retrieve(self, thread_id: str, run_id: str) -> Run:
        """Retrieves a run."""
        assistants, known = self._assistants, await self._recorder.known_version(run_id)
        run = await assistants.retrieve(thread_id, run_id)
        await self._recorder.record(run, known, thread_id=thread_id)
        return run

    async def update(
        self, thread_id: str, run_id: str, *, metadata: Mapping[str, str] | None
    ) -> Run:
        """Changes the metadata of a run."""
        assistants, known = self._assistants, await self._recorder.known_version(run_id)
        run = await assistants.update(thread_id, run_id, metadata=metadata)
        await self._recorder.record(run, known, thread_id=thread_id)
        return run

    async def cancel(self, thread_id: str, run_id: str) -> Run:
        """Asks for the cancellation of a run, and watches it until it has ended."""
        assistants, known = self._assistants, await self._recorder.known_version(run_id)
        run = await assistants.cancel(thread_id, run_id)
        await self._recorder.record(run, known, watch=True, thread_id=thread_id, call="cancel")
        return run

    async def submit_tool_outputs(
        self, thread_id: str, run_id: str, tool_outputs: Iterable[Mapping[str, Any]], **more: Any
    ) -> Run:
        """Submits the outputs of all calls that a run waits for, and watches the run."""
        outputs = list(tool_outputs)
        assistants, known = self._assistants, await self._recorder.known_version(run_id)
        run = await assistants.submit_tool_outputs(thread_id, run_id, outputs, **more)
        # Azure accepts answers to approvals beside the outputs.
        answers = [*outputs, *more.get("tool_approvals", ())]
        await self._recorder.record_submission(run, thread_id, answers, known)
        return run

    async def list(self, thread_id: str, **query: Any) -> RunPage:
        """Returns a page of a thread's runs; it and the pages after it are recorded."""
        page = await self._assistants.list(thread_id, **query)

        async def record(page: RunPage) -> None:
            await self._recorder.record_all(page.data, thread_id)

        page.on_next_page(record)
        await record(page)
        return page


class CapturedSteps:
    """The steps of runs with recording: ended steps are recorded, for runs that are known."""

    def __init__(
        self, assistants: Assistants, recorder: RunCallRecorder, check: Callable[[], object]
    ) -> None:
        self._assistants = assistants
        self._recorder = recorder
        self._check = check

    async def retrieve(self, thread_id: str, run_id: str, step_id: str, **query: Any) -> RunStep:
        """Retrieves a step."""
        self._check()
        step = await self._assistants.steps.retrieve(thread_id, run_id, step_id, **query)
        await self._recorder.record_steps(run_id, [step])
        return step

    async def list(self, thread_id: str, run_id: str, **query: Any) -> StepPage:
        """Returns a page of a run's steps; it and the pages after it are recorded."""
        self._check()
        page = await self._assistants.steps.list(thread_id, run_id, **query)

        async def record(page: StepPage) -> None:
            await self._recorder.record_steps(run_id, page.data)

        page.on_next_page(record)
        await record(page)
        return page
