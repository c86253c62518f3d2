"""The operations of the simulated service: a request that was understood in, a JSON value out."""

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
from tracker.simulator.model.errors import not_found
from tracker.simulator.model.records import RunRecord
from tracker.simulator.model.world import World


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: `now` is when it arrived, `age` how old the answer shall be (0: up to date)."""

    now: float
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: dict[str, Any]
    version: Version = "v2"
    age: float = 0.0

    @property
    def at(self) -> float:
        """The moment to show."""
        return self.now - self.age


Operation = Callable[[World, Asked], dict[str, Any]]


def create_thread(world: World, asked: Asked) -> dict[str, Any]:
    """Makes a thread."""
    return thread_body(world.create_thread(asked.now, asked.body))


def retrieve_thread(world: World, asked: Asked) -> dict[str, Any]:
    """Shows a thread."""
    return thread_body(world.get_thread(asked.path["thread_id"]))


def create_message(world: World, asked: Asked) -> dict[str, Any]:
    """Puts a message into a thread."""
    return message_body(world.add_message(asked.now, asked.path["thread_id"], asked.body))


def list_messages(world: World, asked: Asked) -> dict[str, Any]:
    """Lists the messages of a thread, those of its runs among them."""
    thread = world.get_thread(asked.path["thread_id"])
    messages = [message_body(each) for each in thread.messages if each.created_at <= asked.at]
    for run in thread.runs.values():
        messages += [
            reply_body(run, step)
            for step in world.get_life(run).steps
            if step.planned.message_id and step.status == "completed" and step.ended_at <= asked.at
        ]
    messages.sort(key=lambda each: int(each["created_at"]))
    return _page([(each["id"], each) for each in messages], asked)


def create_assistant(world: World, asked: Asked) -> dict[str, Any]:
    """Makes an assistant."""
    return assistant_body(world.create_assistant(asked.now, asked.body))


def retrieve_assistant(world: World, asked: Asked) -> dict[str, Any]:
    """Shows an assistant."""
    return assistant_body(world.get_assistant(asked.path["assistant_id"]))


def list_assistants(world: World, asked: Asked) -> dict[str, Any]:
    """Lists the assistants that somebody made."""
    return _page([(id_, assistant_body(each)) for id_, each in world.assistants.items()], asked)


def create_run(world: World, asked: Asked) -> dict[str, Any]:
    """Starts a run."""
    return _show(world, asked, world.create_run(asked.now, asked.path["thread_id"], asked.body))


def create_thread_and_run(world: World, asked: Asked) -> dict[str, Any]:
    """Makes a thread and starts a run in it."""
    body = {key: value for key, value in asked.body.items() if key != "thread"}
    world.check_run(body)
    thread = world.create_thread(asked.now, asked.body.get("thread"))
    return _show(world, asked, world.create_run(asked.now, thread.id, body))


def retrieve_run(world: World, asked: Asked) -> dict[str, Any]:
    """Shows a run."""
    return _show(world, asked, _run(world, asked))


def update_run(world: World, asked: Asked) -> dict[str, Any]:
    """Replaces the metadata of a run."""
    run = _run(world, asked)
    world.update_run(asked.now, run, asked.body)
    return _show(world, asked, run)


def list_runs(world: World, asked: Asked) -> dict[str, Any]:
    """Lists the runs of a thread."""
    thread = world.get_thread(asked.path["thread_id"])
    runs = [(id_, run) for id_, run in thread.runs.items() if run.created_at <= asked.at]
    page, more, first, last = paginate(runs, PageRequest.of(asked.query))
    return _list([_show(world, asked, run) for run in page], more, first, last)


def cancel_run(world: World, asked: Asked) -> dict[str, Any]:
    """Asks a run to stop."""
    run = _run(world, asked)
    world.cancel_run(asked.now, run)
    return _show(world, asked, run)


def submit_outputs(world: World, asked: Asked) -> dict[str, Any]:
    """Takes the outputs that a run waits for."""
    run = _run(world, asked)
    world.submit_outputs(asked.now, run, asked.body)
    return _show(world, asked, run)


def list_steps(world: World, asked: Asked) -> dict[str, Any]:
    """Lists the steps of a run."""
    run = _run(world, asked)
    life = world.get_life(run)
    steps = [(each.planned.id, each) for each in life.steps if each.created_at <= asked.at]
    page, more, first, last = paginate(steps, PageRequest.of(asked.query))
    return _list([step_body(run, life, step, asked.at) for step in page], more, first, last)


def retrieve_step(world: World, asked: Asked) -> dict[str, Any]:
    """Shows a step of a run."""
    run = _run(world, asked)
    life = world.get_life(run)
    for step in life.steps:
        if step.planned.id == asked.path["step_id"] and step.created_at <= asked.now:
            return step_body(run, life, step, asked.at)
    raise not_found("run step", asked.path["step_id"])


def start_response(world: World, asked: Asked) -> dict[str, Any]:
    """Starts a response in the background."""
    return _show_response(world, asked, create_response(world, asked.now, asked.body))


def retrieve_response(world: World, asked: Asked) -> dict[str, Any]:
    """Shows a response."""
    return _show_response(world, asked, find_response(world, asked.path["response_id"]))


def stop_response(world: World, asked: Asked) -> dict[str, Any]:
    """Stops a response."""
    record = find_response(world, asked.path["response_id"])
    cancel_response(world, asked.now, record)
    return _show_response(world, asked, record)


def delete_response(world: World, asked: Asked) -> dict[str, Any]:
    """Forgets a response, as the service does by itself after a while."""
    record = find_response(world, asked.path["response_id"])
    del world.responses[record.id]
    return {"id": record.id, "object": "response", "deleted": True}


# The first match counts, and a poll is the most frequent request.
OPERATIONS: tuple[tuple[str, str, Operation], ...] = (
    ("GET", "/threads/{thread_id}/runs/{run_id}", retrieve_run),
    ("GET", "/threads/{thread_id}/runs", list_runs),
    ("GET", "/threads/{thread_id}/runs/{run_id}/steps", list_steps),
    ("GET", "/threads/{thread_id}/runs/{run_id}/steps/{step_id}", retrieve_step),
    ("GET", "/responses/{response_id}", retrieve_response),
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


def _run(world: World, asked: Asked) -> RunRecord:
    return world.get_run(asked.path["thread_id"], asked.path["run_id"])


def _show(world: World, asked: Asked, run: RunRecord) -> dict[str, Any]:
    return run_body(run, world.get_life(run), asked.at, asked.version)


def _show_response(world: World, asked: Asked, record: RunRecord) -> dict[str, Any]:
    return response_body(record, world.get_life(record), asked.at)


def _page(items: list[tuple[str, dict[str, Any]]], asked: Asked) -> dict[str, Any]:
    return _list(*paginate(items, PageRequest.of(asked.query)))


def _list(
    data: list[dict[str, Any]], more: bool, first: str | None, last: str | None
) -> dict[str, Any]:
    return {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": more}
