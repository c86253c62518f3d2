"""The submission of outputs: all those of a pause in one request, as each service takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic_core import from_json, to_jsonable_python

from tracker.capture.recorder import ResponseCallRecorder
from tracker.capture.runs import CapturedRuns
from tracker.core.events import run_stream
from tracker.core.other_decisions import decide_continuation, decide_submission
from tracker.core.snapshot import ToolCall
from tracker.core.state import RunState
from tracker.errors import SourceError, UnusableAnswer
from tracker.polling.watch_list import FIRST_POLL_SECONDS
from tracker.recording.observation import Observation
from tracker.session import Session
from tracker.sources.agents.resource import AgentTurns
from tracker.sources.assistants.resource import Assistants
from tracker.sources.http.address import path_of
from tracker.sources.langgraph.resource import LangGraph
from tracker.sources.responses.resource import Responses
from tracker.sources.source import Source
from tracker.tools.journal import SUBMISSION, Journal
from tracker.tools.tool import Output

# Settings of a response that the next one needs too, since it does not inherit them. The choice
# of a tool is not among them: one that forces a call would force it again, without an end.
_KEPT = (
    *("model", "tools", "instructions", "metadata", "reasoning", "text", "temperature", "top_p"),
    *("parallel_tool_calls", "truncation", "max_output_tokens", "service_tier"),
)


class Answer(NamedTuple):
    """A call of a run with the output for it."""

    call: ToolCall
    output: Output


def takes_outputs(source: Source, call: ToolCall) -> bool:
    """True if the output of a function can be submitted for a call."""
    if isinstance(source, LangGraph):
        return call.type == "interrupt"
    return isinstance(source, Assistants | Responses | AgentTurns) and call.type == "function"


async def submit(
    session: Session,
    source: Source,
    state: RunState,
    body: bytes,
    answers: Sequence[Answer],
    journal: Journal,
) -> None:
    """Submits the outputs of a run that waits, records that, and watches it or what follows it.

    `body` is the last answer about the run. Raises SourceError as the service answers.
    """
    match source:
        case Assistants():
            await _submit_outputs(session, source, state, answers)
        case Responses():
            await _create_response(session, source, state, body, answers, journal)
        case AgentTurns():
            await _send_events(session, source, state, answers)
        case LangGraph():
            await _resume(session, source, state, answers)


async def _submit_outputs(
    session: Session, source: Assistants, state: RunState, answers: Sequence[Answer]
) -> None:
    outputs = [{"tool_call_id": it.call.id, "output": it.output.text} for it in answers]
    runs = CapturedRuns(source, session)
    await runs.submit_tool_outputs(state.thread_id or "", state.run_id, outputs)


async def _create_response(
    session: Session,
    source: Responses,
    state: RunState,
    body: bytes,
    answers: Sequence[Answer],
    journal: Journal,
) -> None:
    """Creates the response that continues one that waits.

    The service does not tell which response continues another one, so that it is never created
    again if it may exist already.
    """
    stream = run_stream(state.source, state.run_id)
    if await session.threads.run(journal.begin, stream, SUBMISSION) is not None:
        error = UnusableAnswer(
            f"{state.run_id}: its outputs were sent before, and no answer came: the response that "
            "continues it may exist. Look for it and watch it, or create it with "
            f"tracker.responses.create(previous_response_id={state.run_id!r}, …)"
        )
        error.may_have_happened = True
        raise error
    document = from_json(body)
    settings = {it: document[it] for it in _KEPT if document.get(it) not in (None, [], {})}
    if state.thread_id:
        settings["conversation"] = state.thread_id
    else:
        settings["previous_response_id"] = state.run_id
    outputs = [
        {"type": "function_call_output", "call_id": it.call.id, "output": it.output.text}
        for it in answers
    ]
    try:
        response = await source.create(input=outputs, **settings)
    except SourceError as error:
        if not error.may_have_happened:
            await session.threads.run(journal.remove, stream, SUBMISSION)
        raise
    recorder = ResponseCallRecorder(source, session)
    await recorder.end_waits([it.call.id for it in answers], state.run_id, response)
    await recorder.record(response, watch=True)


async def _send_events(
    session: Session, source: AgentTurns, state: RunState, answers: Sequence[Answer]
) -> None:
    path = path_of("agents", "sessions", state.thread_id or "", "events")
    events = []
    for call, output in answers:
        event = {
            "type": "agent.session.input.tool_result",
            "turn_id": state.run_id,
            "call_id": call.id,
            "success": not output.is_error,
        }
        events.append(event | {"error" if output.is_error else "output": output.text})
    try:
        await source.ask("POST", path, document={"events": events})
    except UnusableAnswer as error:
        # The service answers a success without a body.
        if "brought 0 bytes" not in str(error):
            raise
    ids = [it.call.id for it in answers]
    now = session.clock.now()
    stream = run_stream(state.source, state.run_id)
    observation = Observation(stream, lambda known: decide_submission(known, ids, now))
    result = await session.commits.record(observation)
    session.updates.on_state(stream, result.state)
    watched = session.watch_list.watch(
        source, state.thread_id, state.run_id, state=result.state, after=FIRST_POLL_SECONDS
    )
    session.watch_list.poll_now(watched)


async def _resume(
    session: Session, source: LangGraph, state: RunState, answers: Sequence[Answer]
) -> None:
    """Starts the run that goes on from the interrupts, with the results as values."""
    values = {it.call.id: to_jsonable_python(it.output.value, fallback=str) for it in answers}
    resume: Any = values if len(answers) > 1 else next(iter(values.values()))
    path = path_of("threads", state.thread_id or "", "runs")
    document = {"assistant_id": state.assistant_id, "command": {"resume": resume}}
    answer, found = await source.ask("POST", path, document=document)
    snapshot = source.snapshot(found, observed_at=answer.observed_at, asked_at=answer.asked_at)
    result = await session.commits.record(Observation.of(snapshot))
    session.watch_list.watch(
        source, snapshot.thread_id, snapshot.run_id, state=result.state, after=FIRST_POLL_SECONDS
    )
    at, ids = answer.observed_at, [it.call.id for it in answers]
    stream = run_stream(state.source, state.run_id)
    ended = await session.commits.record(
        Observation(
            stream,
            lambda known: [
                *decide_submission(known, ids, at),
                *decide_continuation(known, snapshot.created_at, at),
            ],
            resolves_action=True,
        )
    )
    session.updates.on_state(stream, ended.state)
