"""The tools of one name of handlers: they answer the calls of each run that waits."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable

from tracker.core.events import RunActionRequired, run_stream
from tracker.core.snapshot import ToolCall
from tracker.core.state import RunState
from tracker.delivery.handlers import Delivery
from tracker.errors import NotFound, SettingsError, ToolArgumentsRefused, ToolInterrupted
from tracker.recording.observation import Observation
from tracker.runtime.log_fields import of_run
from tracker.runtime.worker_threads import ExitSafeExecutor
from tracker.session import Session
from tracker.sources.source import Source
from tracker.tools.journal import Journal, open_journal
from tracker.tools.submissions import Answer, submit, takes_outputs
from tracker.tools.tool import Output, Tool

logger = logging.getLogger("runfold.tools")

_MAX_THREADS = 32


class Toolbox:
    """Tools by name, and the handler that calls them."""

    def __init__(self, require_session: Callable[[], Session]) -> None:
        self._require_session = require_session
        self._tools: dict[str, Tool] = {}
        self._journal: Journal | None = None
        self._threads: ExitSafeExecutor | None = None

    def add(self, tool: Tool) -> None:
        """Adds a tool. Raises SettingsError if there is one of its name."""
        if tool.name in self._tools:
            raise SettingsError(f"there is a tool {tool.name!r} already: give this another name")
        self._tools[tool.name] = tool

    async def handle(self, delivery: Delivery) -> None:
        """Answers the calls that a run waits for, if there is a tool for each of them.

        The run is asked first what it waits for now: the event may be old, and its calls answered.
        """
        event, session = delivery.event, self._require_session()
        if not isinstance(event, RunActionRequired) or delivery.source not in session.sources:
            return
        if event.tool_calls and not any(it.name in self._tools for it in event.tool_calls):
            return
        stream = run_stream(delivery.source, delivery.run_id)
        journal = await self._open_journal(session)
        source = session.sources.named(delivery.source)
        state = await session.state(stream)
        if state.needs_action:
            asked = await self._ask(session, source, state)
            if asked is None:
                return
            state, body = asked
            if state.needs_action:
                if not self._has_tools(source, state):
                    return
                outputs = await self._call_all(stream, state, journal)
                answers = [
                    Answer(call, it) for call, it in zip(state.tool_calls, outputs, strict=True)
                ]
                await submit(session, source, state, body, answers, journal)
        await session.threads.run(journal.remove, stream)

    def close(self) -> None:
        """Releases the threads and the journal."""
        threads, self._threads, self._journal = self._threads, None, None
        if threads is not None:
            threads.shutdown(wait=False)

    async def _open_journal(self, session: Session) -> Journal:
        journal = self._journal
        if journal is None:
            journal = await session.threads.run(open_journal, session.repository.store)
            self._journal = journal
        return journal

    async def _ask(
        self, session: Session, source: Source, state: RunState
    ) -> tuple[RunState, bytes] | None:
        """Asks about a run and records the answer. Returns None if there is no such run."""
        try:
            answer = await source.fetch(state.thread_id, state.run_id)
        except NotFound as error:
            stream = run_stream(source.name, state.run_id)
            logger.warning("%s: no tool is run: %s", stream, error, extra=of_run(stream))
            return None
        snapshot = source.snapshot(
            answer.body, observed_at=answer.observed_at, asked_at=answer.asked_at
        )
        result = await session.commits.record(Observation.of(snapshot))
        session.updates.on_recorded(source, result)
        return result.state, answer.body

    def _has_tools(self, source: Source, state: RunState) -> bool:
        stream = run_stream(source.name, state.run_id)
        others = [
            it.name or it.type
            for it in state.tool_calls
            if it.name not in self._tools or not takes_outputs(source, it)
        ]
        if others:
            logger.info(
                "%s: left to handlers, since there is no tool for %s",
                stream,
                ", ".join(others),
                extra=of_run(stream),
            )
        return not others

    async def _call_all(self, stream: str, state: RunState, journal: Journal) -> list[Output]:
        if self._threads is None:
            self._threads = ExitSafeExecutor(_MAX_THREADS, thread_name_prefix="runfold-tools")
        calls = [self._call(stream, it, journal) for it in state.tool_calls]
        outputs: list[Output] = []
        # All of them end before an error is raised: none runs on while the others are tried again.
        for result in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
            outputs.append(result)
        return outputs

    async def _call(self, stream: str, call: ToolCall, journal: Journal) -> Output:
        """Returns the output of a call; of one that failed, in words for the model."""
        tool = self._tools[call.name or ""]
        threads, session = self._threads, self._require_session()
        assert threads is not None
        try:
            if not tool.once:
                return await tool.call(call.arguments, threads)
            begun = await session.threads.run(journal.begin, stream, call.id)
            if begun is not None and begun.output is not None:
                return Output(begun.output, begun.output)
            if begun is not None:
                raise ToolInterrupted(
                    f"the call {call.id} of {tool.name} was interrupted before, and may have been "
                    "carried out; it was not made again"
                )
            output = await tool.call(call.arguments, threads)
            await session.threads.run(journal.finish, stream, call.id, output.text)
            return output
        except Exception as error:
            logger.warning(
                "%s: the tool %r failed with the call %s: %s",
                *(stream, tool.name, call.id, f"{type(error).__name__}: {error}"),
                extra=of_run(stream),
            )
            text = await _explain(tool, error)
            if tool.once:
                await session.threads.run(journal.finish, stream, call.id, text)
            return Output(text, text, is_error=True)


async def _explain(tool: Tool, error: Exception) -> str:
    if tool.on_error is not None:
        text = tool.on_error(error)
        return await text if inspect.isawaitable(text) else text
    if isinstance(error, ToolArgumentsRefused | ToolInterrupted):
        return f"Error: {error}"
    return f"Error: {tool.name} failed: {type(error).__name__}: {error}"
