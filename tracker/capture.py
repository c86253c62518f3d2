"""The Assistants resource, captured: what our own calls show is recorded at once.

An answer to a call of ours is an observation that costs no request. The calls, their arguments
and their errors are those of `tracker.sources.Assistants`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from tracker.core.events import Event, run_stream
from tracker.core.facts import decide_steps, decide_submitted
from tracker.core.snapshot import StepSnapshot
from tracker.core.state import RunState
from tracker.errors import RunfoldError
from tracker.histories import Look, look
from tracker.log_fields import of_run
from tracker.polling.batching import Batching
from tracker.polling.poller import Poller
from tracker.sources.assistants import Assistants
from tracker.sources.models import Run, RunStep
from tracker.sources.pages import RunPage, StepPage

logger = logging.getLogger("runfold.capture")

Decide = Callable[[RunState], list[Event]]

# What a call of ours has just shown need not be asked for at once.
FIRST_LOOK_SECONDS = 0.2


class CapturedRuns:
    """`Assistants`, with everything that its answers show recorded, and its own runs watched.

    A call that the service took is never failed by the recording of its answer: that is logged,
    and the next poll records what it showed.
    """

    def __init__(
        self,
        api: Assistants,
        batching: Batching,
        poller: Poller,
        check: Callable[[], object] = lambda: None,
    ) -> None:
        self._given = api
        self._check = check
        self._batching = batching
        self._poller = poller
        self.steps = CapturedSteps(api, self._record, check)

    @property
    def _api(self) -> Assistants:
        # Nothing is asked for a tracker that is not open, or not in this process.
        self._check()
        return self._given

    async def create(self, thread_id: str, *, assistant_id: str, **settings: Any) -> Run:
        """Creates a run, which is watched from here on."""
        run = await self._api.create(thread_id, assistant_id=assistant_id, **settings)
        return await self._seen(run, watch=thread_id)

    async def retrieve(self, thread_id: str, run_id: str) -> Run:
        """Retrieves a run."""
        return await self._seen(await self._api.retrieve(thread_id, run_id))

    async def update(
        self, thread_id: str, run_id: str, *, metadata: Mapping[str, str] | None
    ) -> Run:
        """Changes the metadata of a run."""
        return await self._seen(await self._api.update(thread_id, run_id, metadata=metadata))

    async def cancel(self, thread_id: str, run_id: str) -> Run:
        """Asks for the cancellation of a run, which is watched until it came to it."""
        return await self._seen(await self._api.cancel(thread_id, run_id), watch=thread_id)

    async def submit_tool_outputs(
        self, thread_id: str, run_id: str, tool_outputs: Iterable[Mapping[str, Any]], **more: Any
    ) -> Run:
        """Sends the outputs of all calls that a run waits for, and watches it go on."""
        outputs = list(tool_outputs)
        run = await self._api.submit_tool_outputs(thread_id, run_id, outputs, **more)
        if run.answer is not None:
            at = run.answer.observed_at
            # Azure takes the answer to an approval beside the outputs.
            answers = [*outputs, *more.get("tool_approvals", ())]
            calls = [str(answer.get("tool_call_id")) for answer in answers]
            await self._record(run_id, lambda state: decide_submitted(state, calls, at))
        seen = await self._seen(run, watch=thread_id)
        watched = self._poller.find(run_stream(self._api.name, run_id))
        if watched is not None:
            # Whoever answered it once need not be told at once that it was answered again.
            watched.answered_here = True
        return seen

    async def list(self, thread_id: str, **query: Any) -> RunPage:
        """A page of a thread's runs; it and each page that it turns to are recorded."""
        page = await self._api.list(thread_id, **query)
        await self._seen_page(page.seen_by(self._seen_page))
        return page

    async def _seen_page(self, page: RunPage) -> None:
        for run in page.data:
            await self._seen(run)

    async def _seen(self, run: Run, *, watch: str | None = None) -> Run:
        state = await self._observe(run)
        if watch is not None and (state is None or not state.is_ended):
            watched = self._poller.watch(self._api, watch, run.id, after=FIRST_LOOK_SECONDS)
            if state is not None:
                self._poller.notice(watched.stream, state)
        return run

    async def _observe(self, run: Run) -> RunState | None:
        answer = run.answer
        if answer is None:
            return None
        try:
            snapshot = self._api.snapshot(
                run, observed_at=answer.observed_at, asked_at=answer.asked_at
            )
        except RunfoldError as error:
            stream = run_stream(self._given.name, run.id)
            logger.warning(
                "%s: the answer to our own call cannot be recorded: %s",
                stream,
                error,
                extra=of_run(stream),
            )
            return None
        return await self._look(look(snapshot))

    async def _record(self, run_id: str, decide: Decide) -> None:
        await self._look(Look(run_stream(self._api.name, run_id), decide))

    async def _look(self, entry: Look) -> RunState | None:
        try:
            observed = await self._batching.record(entry)
        except RunfoldError as error:
            logger.warning(
                "%s: not recorded, the next poll will be: %s",
                entry.stream,
                error,
                extra=of_run(entry.stream),
            )
            return None
        self._poller.notice(entry.stream, observed.state)
        return observed.state


class CapturedSteps:
    """The steps of runs, captured: those that have ended are recorded, for runs that are known."""

    def __init__(
        self,
        api: Assistants,
        record: Callable[[str, Decide], Awaitable[None]],
        check: Callable[[], object],
    ) -> None:
        self._api = api
        self._record = record
        self._check = check

    async def retrieve(self, thread_id: str, run_id: str, step_id: str, **query: Any) -> RunStep:
        """Retrieves a step."""
        self._check()
        step = await self._api.steps.retrieve(thread_id, run_id, step_id, **query)
        await self._seen(run_id, [step])
        return step

    async def list(self, thread_id: str, run_id: str, **query: Any) -> StepPage:
        """A page of a run's steps; it and each page that it turns to are recorded."""
        self._check()
        page = await self._api.steps.list(thread_id, run_id, **query)

        async def seen(turned: StepPage) -> None:
            await self._seen(run_id, turned.data)

        await seen(page.seen_by(seen))
        return page

    async def _seen(self, run_id: str, steps: Iterable[RunStep]) -> None:
        for step in steps:
            if step.answer is None:
                continue
            try:
                snapshot = self._api.steps_snapshot(step)
            except RunfoldError as error:
                stream = run_stream(self._api.name, run_id)
                logger.warning(
                    "%s: a step of it cannot be recorded: %s", stream, error, extra=of_run(stream)
                )
                continue
            await self._record(run_id, _steps_seen(snapshot, step.answer.observed_at))


def _steps_seen(step: StepSnapshot, observed_at: datetime) -> Decide:
    return lambda state: decide_steps(state, [step], observed_at)
