"""Records the answers to calls about runs, made by us or by the application's client.

A call that the service accepted never fails because its answer cannot be recorded: that is logged,
and the next poll records the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from tracker.core.events import Event, run_stream
from tracker.core.identifiers import is_identifier
from tracker.core.other_decisions import decide_continuation, decide_submission
from tracker.core.snapshot import UNTOLD, RunSnapshot
from tracker.core.state import UNKNOWN_VERSION, RunState
from tracker.errors import RunfoldError
from tracker.polling.watch_list import FIRST_POLL_SECONDS
from tracker.recording.observation import Decide, Observation, RecordResult
from tracker.runtime.log_fields import of_run
from tracker.session import Session
from tracker.sources.assistants.models import Run, RunStep
from tracker.sources.assistants.resource import Assistants
from tracker.sources.responses.models import Response
from tracker.sources.responses.resource import Responses
from tracker.sources.source import Source

logger = logging.getLogger("runfold.capture")

# A call that changes a run.
Call = Literal["create", "submit", "cancel"]
# Called with a stream, the problem, and its error.
Warn = Callable[[str, str, RunfoldError], None]


def warn(stream: str, problem: str, error: RunfoldError) -> None:
    """Logs that something of a run could not be recorded."""
    logger.warning("%s: %s: %s", stream, problem, error, extra=of_run(stream))


class CallRecorder:
    """Records the answers of one source; calls `warn` for those that cannot be recorded."""

    def __init__(self, source: Source, session: Session, warn: Warn = warn) -> None:
        self._source = source
        self._snapshot: Callable[..., RunSnapshot] = source.snapshot
        self._commits = session.commits
        self._watch_list = session.watch_list
        self._updates = session.updates
        self._warn = warn

    async def known_version(self, run_id: str) -> int:
        """Returns the version at which a run is known now, before a request about it."""
        stream = run_stream(self._source.name, run_id)
        if (known := self._watch_list.known_version(stream)) != UNKNOWN_VERSION:
            return known
        try:
            return (await self._commits.state(stream)).version
        except RunfoldError:
            return UNKNOWN_VERSION

    async def record(
        self,
        run: Run | Response,
        known: int = UNKNOWN_VERSION,
        *,
        watch: bool = False,
        thread_id: str | None = None,
        unchanged_until: datetime | None = None,
        call: Call | None = None,
    ) -> RunState | None:
        """Records a run; with `watch`, watches it unless it has ended.

        `known` is the version at which it was known when it was asked for; `thread_id` is its
        thread if the call names it; `unchanged_until` is the time until which its earlier state is
        known to have lasted; `call` is the call that it answers, if that changes the run. Returns
        its state, None if it could not be recorded.
        """
        stream = run_stream(self._source.name, run.id)
        told = (known, thread_id, unchanged_until, call)
        result = await self._record_snapshot(stream, run, *told)
        state = None if result is None else result.state
        if watch and is_identifier(run.id) and (state is None or not state.is_ended):
            if thread_id is None and state is not None:
                thread_id = state.thread_id
            self._watch_list.watch(self._source, thread_id, run.id, after=FIRST_POLL_SECONDS)
        if result is not None:
            self._updates.on_recorded(self._source, result)
        return state

    async def _record_snapshot(
        self,
        stream: str,
        run: Run | Response,
        known: int,
        thread_id: str | None,
        unchanged_until: datetime | None,
        call: Call | None,
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
            ).on_thread(thread_id)
            watched = self._watch_list.find(stream)
            told: dict[str, Any] = {} if call is None else {"call": call}
            if watched is not None and self._watch_list.check_clock(watched):
                # Nothing tells on which side of that the call was sent.
                told |= {"asked_since": UNTOLD, "unchanged_until": None}
            told |= self._watch_list.describe_clocks(watched, self._source)
            if told:
                snapshot = snapshot.model_copy(update=told)
            result, predecessor = await self._commits.observe(snapshot, known)
            self._watch_list.apply_events(watched, self._source, result.events)
        except RunfoldError as error:
            self._warn(stream, "the answer to our own call is not recorded", error)
            return None
        if predecessor is not None:
            self._updates.on_state(predecessor.stream, predecessor.state)
        return result

    async def _record_decision(
        self, stream: str, decide: Decide, what: str, *, resolves_action: bool = False
    ) -> None:
        entry = Observation(stream, decide, resolves_action=resolves_action)
        await self._record_observation(entry, what)

    async def _record_observation(self, entry: Observation, what: str) -> None:
        try:
            result = await self._commits.record(entry)
        except RunfoldError as error:
            self._warn(entry.stream, f"{what} not recorded", error)
            return
        self._updates.on_state(entry.stream, result.state)


class RunCallRecorder(CallRecorder):
    """Records the answers of an Assistants service, about runs and steps."""

    def __init__(self, source: Assistants, session: Session, warn: Warn = warn) -> None:
        super().__init__(source, session, warn)
        self._assistants = source

    async def record_submission(
        self,
        run: Run,
        thread_id: str | None,
        answers: Iterable[Mapping[str, Any]],
        known: int = UNKNOWN_VERSION,
    ) -> RunState | None:
        """Records that the service accepted `answers` to calls of a run, and watches the run.

        Returns its state as `record` does.
        """
        stream = run_stream(self._source.name, run.id)
        if run.answer is not None:
            at = run.answer.observed_at
            calls = [str(answer.get("tool_call_id")) for answer in answers]
            await self._record_decision(
                stream, lambda state: decide_submission(state, calls, at), "our outputs are"
            )
        state = await self.record(run, known, watch=True, thread_id=thread_id, call="submit")
        watched = self._watch_list.find(stream)
        if watched is not None:
            # Our own code submits the outputs, so polls need not tell it soon that the run went on.
            watched.answered_here = True
        return state

    async def record_all(self, runs: Iterable[Run], thread_id: str | None) -> bool:
        """Records the runs of a page of a thread. Returns False if one could not be recorded."""
        states = await asyncio.gather(*(self.record(run, thread_id=thread_id) for run in runs))
        return None not in states

    async def record_steps(self, run_id: str, steps: Iterable[RunStep]) -> None:
        """Records those steps of a known run that have ended."""
        stream = run_stream(self._source.name, run_id)
        for step in steps:
            if step.answer is None:
                continue
            try:
                snapshot = self._assistants.steps_snapshot(step)
            except RunfoldError as error:
                self._warn(stream, "a step of it cannot be recorded", error)
                continue
            at = step.answer.observed_at
            entry = Observation.of_step(self._source.name, run_id, step.thread_id, snapshot, at)
            await self._record_observation(entry, "a step of it is")


class ResponseCallRecorder(CallRecorder):
    """Records the answers of a Responses service."""

    def __init__(self, source: Responses, session: Session, warn: Warn = warn) -> None:
        super().__init__(source, session, warn)

    async def end_waits(
        self, answered: Sequence[str], previous: str | None, response: Response
    ) -> None:
        """Records the end of the waits that a new response answers.

        These are the waits for the calls `answered`, and of the `previous` response, which the
        new one continues.
        """
        if response.answer is None:
            return
        at, sent_at = response.answer.observed_at, response.answer.asked_at

        def decide(state: RunState) -> list[Event]:
            calls = [call.id for call in state.tool_calls if call.id in answered]
            submitted = decide_submission(state, calls, at) if calls else []
            return [*submitted, *decide_continuation(state, response.created_at, at, sent_at)]

        for stream in self._find_waiting(answered, previous):
            await self._record_decision(stream, decide, "its end is", resolves_action=True)

    def _find_waiting(self, answered: Sequence[str], previous: str | None) -> set[str]:
        """Returns the streams of the responses that wait for these calls, and of the previous one.

        Within a conversation no previous response is named.
        """
        named = {run_stream(self._source.name, previous)} if previous else set()
        return named | {
            watched.stream
            for watched in self._watch_list.runs
            if watched.source is self._source
            and any(call.id in answered for call in watched.state.tool_calls)
        }
