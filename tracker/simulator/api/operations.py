"""The operations of the simulated service: from a parsed request to a JSON object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tracker.simulator.api.pages import PageRequest, paginate
from tracker.simulator.api.payloads import (
    Version,
    assistant_body,
    message_body,
    reply_body,
    run_body,
    step_body,
    thread_body,
)
from tracker.simulator.api.responses import (
    cancel_response,
    create_response,
    find_response,
    response_body,
)
from tracker.simulator.api.sessions import (
    find_session,
    find_subagent,
    find_turn,
    session_body,
    subagent_body,
    turn_body,
)
from tracker.simulator.model.errors import not_found_error
from tracker.simulator.model.records import RunRecord
from tracker.simulator.model.world import World


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A parsed request."""

    # Time of arrival, in unix seconds.
    now: float
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: dict[str, Any]
    version: Version = "v2"
    # Age of the data in the response, in seconds; 0 for current data.
    age: float = 0.0

    @property
    def at(self) -> float:
        """The time that the response describes, in unix seconds."""
        return self.now - self.age


Operation = Callable[[World, ApiRequest], dict[str, Any]]


def create_thread(world: World, request: ApiRequest) -> dict[str, Any]:
    """Creates a thread."""
    return thread_body(world.create_thread(request.now, request.body))


def retrieve_thread(world: World, request: ApiRequest) -> dict[str, Any]:
    """Returns a thread."""
    return thread_body(world.get_thread(request.path["thread_id"]))


def create_message(world: World, request: ApiRequest) -> dict[str, Any]:
    """Adds a message to a thread."""
    return message_body(world.add_message(request.now, request.path["thread_id"], request.body))


def list_messages(world: World, request: ApiRequest) -> dict[str, Any]:
    """Lists the messages of a thread, including those of its runs."""
    thread = world.get_thread(request.path["thread_id"])
    messages = [message_body(each) for each in thread.messages if each.created_at <= request.at]
    for run in thread.runs.values():
        messages += [
            reply_body(run, step)
            for step in world.get_life(run).steps
            if step.planned.message_id
            and step.status == "completed"
            and step.ended_at <= request.at
        ]
    messages.sort(key=lambda each: int(each["created_at"]))
    return _page([(each["id"], each) for each in messages], request)


def create_assistant(world: World, request: ApiRequest) -> dict[str, Any]:
    """Creates an assistant."""
    return assistant_body(world.create_assistant(request.now, request.body))


def retrieve_assistant(world: World, request: ApiRequest) -> dict[str, Any]:
    """Returns an assistant."""
    return assistant_body(world.get_assistant(request.path["assistant_id"]))


def list_assistants(world: World, request: ApiRequest) -> dict[str, Any]:
    """Lists the assistants that clients created."""
    return _page([(id_, assistant_body(each)) for id_, each in world.assistants.items()], request)


def create_run(world: World, request: ApiRequest) -> dict[str, Any]:
    """Starts a run."""
    return _show(
        world, request, world.create_run(request.now, request.path["thread_id"], request.body)
    )


def create_thread_and_run(world: World, request: ApiRequest) -> dict[str, Any]:
    """Creates a thread and starts a run on it."""
    body = {key: value for key, value in request.body.items() if key != "thread"}
    world.check_run(body)
    thread = world.create_thread(request.now, request.body.get("thread"))
    return _show(world, request, world.create_run(request.now, thread.id, body))


def retrieve_run(world: World, request: ApiRequest) -> dict[str, Any]:
    """Returns a run."""
    return _show(world, request, _run(world, request))


def update_run(world: World, request: ApiRequest) -> dict[str, Any]:
    """Replaces the metadata of a run."""
    run = _run(world, request)
    world.update_run(request.now, run, request.body)
    return _show(world, request, run)


def list_runs(world: World, request: ApiRequest) -> dict[str, Any]:
    """Lists the runs of a thread."""
    thread = world.get_thread(request.path["thread_id"])
    runs = [(id_, run) for id_, run in thread.runs.items() if run.created_at <= request.at]
    page, more, first, last = paginate(runs, PageRequest.of(request.query))
    return _list([_show(world, request, run) for run in page], more, first, last)


def cancel_run(world: World, request: ApiRequest) -> dict[str, Any]:
    """Cancels a run."""
    run = _run(world, request)
    world.cancel_run(request.now, run)
    return _show(world, request, run)


def submit_outputs(world: World, request: ApiRequest) -> dict[str, Any]:
    """Submits the tool outputs that a run waits for."""
    run = _run(world, request)
    world.submit_outputs(request.now, run, request.body)
    return _show(world, request, run)


def list_steps(world: World, request: ApiRequest) -> dict[str, Any]:
    """Lists the steps of a run."""
    run = _run(world, request)
    life = world.get_life(run)
    steps = [(each.planned.id, each) for each in life.steps if each.created_at <= request.at]
    page, more, first, last = paginate(steps, PageRequest.of(request.query))
    return _list([step_body(run, life, step, request.at) for step in page], more, first, last)


def retrieve_step(world: World, request: ApiRequest) -> dict[str, Any]:
    """Returns a step of a run."""
    run = _run(world, request)
    life = world.get_life(run)
    for step in life.steps:
        if step.planned.id == request.path["step_id"] and step.created_at <= request.now:
            return step_body(run, life, step, request.at)
    raise not_found_error("run step", request.path["step_id"])


def start_response(world: World, request: ApiRequest) -> dict[str, Any]:
    """Starts a response in the background."""
    return _show_response(world, request, create_response(world, request.now, request.body))


def retrieve_response(world: World, request: ApiRequest) -> dict[str, Any]:
    """Returns a response."""
    return _show_response(world, request, find_response(world, request.path["response_id"]))


def stop_response(world: World, request: ApiRequest) -> dict[str, Any]:
    """Cancels a response."""
    record = find_response(world, request.path["response_id"])
    cancel_response(world, request.now, record)
    return _show_response(world, request, record)


def delete_response(world: World, request: ApiRequest) -> dict[str, Any]:
    """Deletes a response, as the real service does by itself after some time."""
    record = find_response(world, request.path["response_id"])
    del world.responses[record.id]
    return {"id": record.id, "object": "response", "deleted": True}


def retrieve_session(world: World, request: ApiRequest) -> dict[str, Any]:
    """Returns a session."""
    return session_body(world, find_session(world, request.path["session_id"]), request.at)


def retrieve_turn(world: World, request: ApiRequest) -> dict[str, Any]:
    """Returns a turn of a session, or of one of its sub-agents."""
    turn = find_turn(_turns(world, request), request.path["turn_id"], request.now)
    return turn_body(turn, world.get_life(turn), request.at)


def list_turns(world: World, request: ApiRequest) -> dict[str, Any]:
    """Lists the turns of a session, or of one of its sub-agents."""
    turns = [(id_, it) for id_, it in _turns(world, request).items() if it.created_at <= request.at]
    page, more, first, last = paginate(turns, PageRequest.of(request.query))
    shown = [turn_body(turn, world.get_life(turn), request.at) for turn in page]
    return _list(shown, more, first, last)


def retrieve_subagent(world: World, request: ApiRequest) -> dict[str, Any]:
    """Returns a sub-agent of a session."""
    session_id = request.path["session_id"]
    subagent = find_subagent(world, session_id, request.path["subagent_id"])
    return subagent_body(world, find_session(world, session_id), subagent, request.at)


def list_subagents(world: World, request: ApiRequest) -> dict[str, Any]:
    """Lists the sub-agents of a session."""
    session = find_session(world, request.path["session_id"])
    items = [
        (id_, subagent_body(world, session, it, request.at))
        for id_, it in session.subagents.items()
        if it.opened_at <= request.at
    ]
    return _page(items, request)


# Routes are tried in this order, and polls are the most frequent requests.
OPERATIONS: tuple[tuple[str, str, Operation], ...] = (
    ("GET", "/threads/{thread_id}/runs/{run_id}", retrieve_run),
    ("GET", "/threads/{thread_id}/runs", list_runs),
    ("GET", "/threads/{thread_id}/runs/{run_id}/steps", list_steps),
    ("GET", "/threads/{thread_id}/runs/{run_id}/steps/{step_id}", retrieve_step),
    ("GET", "/responses/{response_id}", retrieve_response),
    ("GET", "/agents/sessions/{session_id}", retrieve_session),
    ("GET", "/agents/sessions/{session_id}/turns", list_turns),
    ("GET", "/agents/sessions/{session_id}/turns/{turn_id}", retrieve_turn),
    ("GET", "/agents/sessions/{session_id}/subagents", list_subagents),
    ("GET", "/agents/sessions/{session_id}/subagents/{subagent_id}", retrieve_subagent),
    ("GET", "/agents/sessions/{session_id}/subagents/{subagent_id}/turns", list_turns),
    ("GET", "/agents/sessions/{session_id}/subagents/{subagent_id}/turns/{turn_id}", retrieve_turn),
    ("POST", "/threads/{thread_id}/runs", create_run),
    ("POST", "/threads/{thread_id}/runs/{run_id}/submit_tool_outputs", submit_outputs),
    ("POST", "/threads/{thread_id}/runs/{run_id}/cancel", cancel_run),
    ("POST", "/threads/{thread_id}/runs/{run_id}", update_run),
    ("POST", "/threads/runs", create_thread_and_run),
    ("POST", "/threads", create_thread),
    ("GET", "/threads/{thread_id}", retrieve_thread),
    ("POST", "/threads/{thread_id}/messages", create_message),
    ("GET", "/threads/{thread_id}/messages", list_messages),
    ("POST", "/assistants", create_assistant),
    ("GET", "/assistants", list_assistants),
    ("GET", "/assistants/{assistant_id}", retrieve_assistant),
    ("POST", "/responses", start_response),
    ("POST", "/responses/{response_id}/cancel", stop_response),
    ("DELETE", "/responses/{response_id}", delete_response),
)


def _run(world: World, request: ApiRequest) -> RunRecord:
    return world.get_run(request.path["thread_id"], request.path["run_id"])


def _turns(world: World, request: ApiRequest) -> dict[str, RunRecord]:
    """Returns the turns of the session, or of the sub-agent, that a path names."""
    session_id, subagent_id = request.path["session_id"], request.path.get("subagent_id")
    if subagent_id is None:
        return find_session(world, session_id).turns
    return find_subagent(world, session_id, subagent_id).turns


def _show(world: World, request: ApiRequest, run: RunRecord) -> dict[str, Any]:
    return run_body(run, world.get_life(run), request.at, request.version)


def _show_response(world: World, request: ApiRequest, record: RunRecord) -> dict[str, Any]:
    return response_body(record, world.get_life(record), request.at)


def _page(items: list[tuple[str, dict[str, Any]]], request: ApiRequest) -> dict[str, Any]:
    return _list(*paginate(items, PageRequest.of(request.query)))


def _list(
    data: list[dict[str, Any]], more: bool, first: str | None, last: str | None
) -> dict[str, Any]:
    return {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": more}
