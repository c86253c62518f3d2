"""The operations of a service that shows recorded runs again.

Outputs and cancellations of clients are accepted where the service would have accepted them, and
change nothing: the runs go on as they were recorded.
"""

from __future__ import annotations

from typing import Any

from tracker.core.status import REQUIRES_ACTION
from tracker.simulator.api.operations import ApiRequest, Operation
from tracker.simulator.api.pages import PageRequest, paginate
from tracker.simulator.api.recorded_bodies import (
    recorded_response_body,
    recorded_run_body,
    recorded_step_body,
)
from tracker.simulator.model.errors import Refused, not_found_error
from tracker.simulator.model.recorded_run import RecordedRun, RecordedState
from tracker.simulator.model.recorded_world import RecordedWorld
from tracker.simulator.model.world import World


def recorded_operations(recorded: RecordedWorld) -> tuple[tuple[str, str, Operation], ...]:
    """Returns the routes with their operations; the world of simulated runs is not used."""

    def retrieve_run(_: World, request: ApiRequest) -> dict[str, Any]:
        return recorded_run_body(*_find_run(recorded, request))

    def list_runs(_: World, request: ApiRequest) -> dict[str, Any]:
        runs = recorded.threads.get(request.path["thread_id"], [])
        shown = [
            (run.run_id, recorded_run_body(run, state))
            for run in runs
            if not run.is_response and (state := _state(run, request.at)) is not None
        ]
        if not shown:
            raise not_found_error("thread", request.path["thread_id"])
        return _list(shown, request)

    def list_steps(_: World, request: ApiRequest) -> dict[str, Any]:
        run, _shown = _find_run(recorded, request)
        steps = [it for it in run.steps if it.begins <= request.at]
        steps.sort(key=lambda it: (it.begins, it.event.step_id))
        bodies = [(it.event.step_id, recorded_step_body(run, it, request.at)) for it in steps]
        return _list(bodies, request)

    def retrieve_step(_: World, request: ApiRequest) -> dict[str, Any]:
        run, _shown = _find_run(recorded, request)
        for it in run.steps:
            if it.event.step_id == request.path["step_id"] and it.begins <= request.at:
                return recorded_step_body(run, it, request.at)
        raise not_found_error("run step", request.path["step_id"])

    def submit_outputs(_: World, request: ApiRequest) -> dict[str, Any]:
        run, shown = _find_run(recorded, request)
        if shown.state.status != REQUIRES_ACTION:
            raise Refused(f'Runs in status "{shown.state.status}" do not accept tool outputs.')
        return recorded_run_body(run, shown)

    def cancel_run(_: World, request: ApiRequest) -> dict[str, Any]:
        run, shown = _find_run(recorded, request)
        if shown.state.is_ended:
            raise Refused(f"Cannot cancel run with status '{shown.state.status}'.")
        return recorded_run_body(run, shown)

    def retrieve_response(_: World, request: ApiRequest) -> dict[str, Any]:
        return recorded_response_body(*_find_response(recorded, request))

    def create_response(_: World, request: ApiRequest) -> dict[str, Any]:
        previous = request.body.get("previous_response_id")
        for run in recorded.runs.values():
            if previous is not None and run.continues == previous:
                shown = run.at(max(request.at, run.created_at))
                assert shown is not None
                return recorded_response_body(run, shown)
        raise Refused("A replay shows recorded responses only, and none continues this one.")

    return (
        ("GET", "/threads/{thread_id}/runs/{run_id}", retrieve_run),
        ("GET", "/threads/{thread_id}/runs", list_runs),
        ("GET", "/threads/{thread_id}/runs/{run_id}/steps", list_steps),
        ("GET", "/threads/{thread_id}/runs/{run_id}/steps/{step_id}", retrieve_step),
        ("GET", "/responses/{response_id}", retrieve_response),
        ("POST", "/threads/{thread_id}/runs/{run_id}/submit_tool_outputs", submit_outputs),
        ("POST", "/threads/{thread_id}/runs/{run_id}/cancel", cancel_run),
        ("POST", "/responses", create_response),
        ("POST", "/responses/{response_id}/cancel", retrieve_response),
    )


def _find_run(recorded: RecordedWorld, request: ApiRequest) -> tuple[RecordedRun, RecordedState]:
    run = recorded.runs.get(request.path["run_id"])
    shown = None if run is None else _state(run, request.at)
    if run is None or shown is None or run.thread_id != request.path["thread_id"]:
        raise not_found_error("run", request.path["run_id"])
    return run, shown


def _find_response(
    recorded: RecordedWorld, request: ApiRequest
) -> tuple[RecordedRun, RecordedState]:
    response_id = request.path["response_id"]
    run = recorded.runs.get(response_id)
    shown = None if run is None else _state(run, request.at)
    if run is None or shown is None or not run.is_response:
        raise Refused(f"Response with id '{response_id}' not found.", kind="unknown")
    return run, shown


def _state(run: RecordedRun, now: float) -> RecordedState | None:
    """Returns the state of a run; None before its creation, and while the service denied it."""
    shown = run.at(now)
    return None if shown is None or shown.state.vanished else shown


def _list(items: list[tuple[str, dict[str, Any]]], request: ApiRequest) -> dict[str, Any]:
    data, more, first, last = paginate(items, PageRequest.of(request.query))
    return {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": more}
