"""What answers to calls of ours show, recorded at once, whoever made the call.

A call that the service took is never failed by the recording of its answer: that is logged, and
the next poll records what it showed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from tracker.core.events import Event, run_stream
from tracker.core.other_decisions import decide_continuation, decide_steps, decide_submission
from tracker.core.snapshot import RunSnapshot, StepSnapshot
from tracker.core.state import RunState
from tracker.errors import RunfoldError
from tracker.polling.watch_list import FIRST_POLL_SECONDS
from tracker.recording.observation import Decide, Observation, RecordResult
from tracker.runtime.log_fields import of_run
from tracker.session import Session
from tracker.sources.assistants.models import Run, RunStep
from tracker.sources.assistants.resource import Assistants
from tracker.sources.responses.resource import Responses
from tracker.sources.responses.snapshots import Response
from tracker.sources.source import Source

logger = logging.getLogger("runfold.capture")

Warn = Callable[[str, str, RunfoldError], None]


def warn(stream: str, what: str, error: RunfoldError) -> None:
    """Logs what could not be recorded of a run, and why."""
    logger.warning("%s: %s: %s", stream, what, error, extra=of_run(stream))


class CallRecorder:
    """Records the answers of one source. `warn` is told what cannot be recorded."""

    def __init__(self, api: Source, session: Session, warn: Warn = warn) -> None:
        self._source = api
        self._snapshot: Callable[..., RunSnapshot] = api.snapshot
        self._commits = session.commits
        self._watch_list = session.watch_list
        self._updates = session.updates
        self._warn = warn

    async def seen(
        self,
        run: Run | Response,
        *,
        watch: bool = False,
        thread_id: str | None = None,
        unchanged_until: datetime | None = None,
    ) -> RunState | None:
        """Records a run, and (`watch`) watches it unless it has ended.

        `thread_id` is its thread, where the call names it. `unchanged_until` is when it was last
        known to show what it showed before. Gives its state, None where it could not be recorded.
        """
        stream = run_stream(self._source.name, run.id)
        observed = await self._observe(stream, run, unchanged_until)
        state = None if observed is None else observed.state
        if watch and (state is None or not state.is_ended):
            if thread_id is None and state is not None:
                thread_id = state.thread_id
            self._watch_list.watch(self._source, thread_id, run.id, after=FIRST_POLL_SECONDS)
        if observed is not None:
            self._updates.on_recorded(self._source, observed)
        return state

    async def _observe(
        self, stream: str, run: Run | Response, unchanged_until: datetime | None
    ) -> RecordResult | None:
        answer = run.answer
        if answer is None:
            return None
        try:
            snapshot = self._snapshot(
                run,
                observed_at=answer.observed_at,
                asked_at=answer.asked_at,
                unchanged_until=unchanged_until,
            )
            result, predecessor = await self._commits.observe(snapshot)
        except RunfoldError as error:
            self._warn(stream, "the answer to our own call is not recorded", error)
            return None
        if predecessor is not None:
            self._updates.on_state(predecessor.stream, predecessor.state)
        return result

    async def _record(
        self, stream: str, decide: Decide, what: str, *, resolves_action: bool = False
    ) -> None:
        try:
            observed = await self._commits.record(
                Observation(stream, decide, resolves_action=resolves_action)
            )
        except RunfoldError as error:
            self._warn(stream, f"{what} not recorded", error)
            return
        self._updates.on_state(stream, observed.state)


class RunAnswers(CallRecorder):
    """Answers about runs of an Assistants service, and about their steps."""

    def __init__(self, api: Assistants, session: Session, warn: Warn = warn) -> None:
        super().__init__(api, session, warn)
        self._api = api

    async def submitted(
        self, run: Run, thread_id: str | None, answers: Iterable[Mapping[str, Any]]
    ) -> RunState | None:
        """Records that the service took `answers` to calls of a run, which is watched on.

        Gives what `seen` gives.
        """
        stream = run_stream(self._api.name, run.id)
        if run.answer is not None:
            at = run.answer.observed_at
            calls = [str(answer.get("tool_call_id")) for answer in answers]
            await self._record(
                stream, lambda state: decide_submission(state, calls, at), "our outputs are"
            )
        state = await self.seen(run, watch=True, thread_id=thread_id)
        watched = self._watch_list.find(stream)
        if watched is not None:
            # Whoever answered it once need not be told at once that it was answered again.
            watched.answered_here = True
        return state

    async def all_seen(self, runs: Iterable[Run]) -> bool:
        """Records the runs of a page. False where one of them could not be."""
        states = await asyncio.gather(*(self.seen(run) for run in runs))
        return None not in states

    async def steps_seen(self, run_id: str, steps: Iterable[RunStep]) -> None:
        """Records steps that have ended, of a run that is known."""
        stream = run_stream(self._api.name, run_id)
        for step in steps:
            if step.answer is None:
                continue
            try:
                snapshot = self._api.steps_snapshot(step)
            except RunfoldError as error:
                self._warn(stream, "a step of it cannot be recorded", error)
                continue
            seen = _steps_seen(snapshot, step.answer.observed_at)
            await self._record(stream, seen, "a step of it is")


class ResponseAnswers(CallRecorder):
    """Answers about the responses of a Responses service."""

    def __init__(self, api: Responses, session: Session, warn: Warn = warn) -> None:
        super().__init__(api, session, warn)
        self._api = api

    async def ended_waits(
        self, answered: Sequence[str], previous: str | None, response: Response
    ) -> None:
        """Records that responses wait no more: those whose calls were `answered` by a new one.

        And the `previous` one, from which the new one goes on.
        """
        if response.answer is None:
            return
        at = response.answer.observed_at

        def decide(state: RunState) -> list[Event]:
            calls = [call.id for call in state.tool_calls if call.id in answered]
            submitted = decide_submission(state, calls, at) if calls else []
            return [*submitted, *decide_continuation(state, response.created_at, at)]

        for stream in self._waiting_for(answered, previous):
            await self._record(stream, decide, "its end is", resolves_action=True)

    def _waiting_for(self, answered: Sequence[str], previous: str | None) -> set[str]:
        """The streams of the responses that a new one answers; in a conversation none is named."""
        named = {run_stream(self._api.name, previous)} if previous else set()
        return named | {
            watched.stream
            for watched in self._watch_list.runs
            if watched.source is self._api
            and any(call.id in answered for call in watched.state.tool_calls)
        }


def _steps_seen(step: StepSnapshot, observed_at: datetime) -> Decide:
    return lambda state: decide_steps(state, [step], observed_at)
