"""Mapping of runs of a LangGraph server to snapshots.

A run that stopped at an interrupt has the status `success`, like one that is done, and at some
look-alikes `interrupted`, like one that was stopped; only the state of the thread tells them apart.
`with_state` adds the relevant part of it to the run's document. The server's webhook has the values
in its place, with the interrupts. An interrupt is answered with another run on the thread, which
ends the wait of the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tracker.core.snapshot import RunError, RunSnapshot, ToolCall
from tracker.core.status import (
    CANCELLED,
    COMPLETED,
    ENDED,
    EXPIRED,
    FAILED,
    IN_PROGRESS,
    QUEUED,
    REQUIRES_ACTION,
)
from tracker.sources.documents import decode, objects_in, pick, validate
from tracker.sources.fields import Fields, text_of
from tracker.sources.payload_format import Api, PayloadFormat
from tracker.sources.peculiarities import Documented, peculiarities
from tracker.sources.wire import check_identity

SUCCESS = "success"
ERROR = "error"
INTERRUPTED = "interrupted"

# An entry is enough for a status without calls. Calls come from the state of the thread, which is
# requested for the statuses that only it explains (`_EXPLAINED_BY_STATE` of the resource).
_STATUSES = {
    "pending": QUEUED,
    "running": IN_PROGRESS,
    SUCCESS: COMPLETED,
    ERROR: FAILED,
    "timeout": EXPIRED,
    # The run was stopped. The server reports a run that waits at an interrupt as `success`.
    INTERRUPTED: CANCELLED,
}
_DOCUMENTED = Documented(
    statuses=frozenset(_STATUSES),
    completed=SUCCESS,
    fields=("thread_id", "assistant_id", "created_at", "updated_at"),
    stamps=("created_at", "updated_at"),
    ends=("updated_at",),
    objects=("metadata",),
    has_usage=False,
    stamps_are_texts=True,
)
_TRACKED = ("run_id", "status", "metadata", "state", "error", "cancel_reason")
# In the values of a thread: what it was interrupted with.
_INTERRUPTS = "__interrupt__"


def with_state(run: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a run's document with the state of its thread, without the values."""
    kept = [
        {name: task.get(name) for name in ("id", "name", "error", "interrupts")}
        for task in objects_in(state.get("tasks"))
    ]
    found: dict[str, Any] = {"next": state.get("next"), "tasks": kept}
    if "interrupts" in state:
        found["interrupts"] = state["interrupts"]
    return {**run, "state": found}


def is_undecided(run: Mapping[str, Any]) -> bool:
    """True for a webhook of a run that may be done, or may have stopped before a node.

    It has the values of the thread, which name interrupts, but not the nodes to come.
    """
    values = run.get("values")
    is_webhook = run.get("status") == SUCCESS and "values" in run and "state" not in run
    return is_webhook and not (isinstance(values, Mapping) and _INTERRUPTS in values)


def glance(body: bytes) -> dict[str, Any]:
    """Returns the tracked fields of a run's body, as sent. Raises PayloadError."""
    return pick(decode(body), _TRACKED)


def graph_run_snapshot(
    body: bytes | Mapping[str, Any],
    source: str,
    *,
    observed_at: datetime,
    asked_at: datetime | None = None,
    unchanged_until: datetime | None = None,
) -> RunSnapshot:
    """Returns a run of a graph as a snapshot.

    The server stamps only changes, so the last one of a run that ended is its end. Raises
    PayloadError for one without an id or a status.
    """
    document = decode(body)
    check_identity(document, "a run of a graph", is_graph=True)
    fields, sent_status = Fields(document), document["status"]
    state = fields.part("state").document
    tasks = objects_in(state.get("tasks"))
    calls = _calls(document, state, tasks) if sent_status in (SUCCESS, INTERRUPTED) else ()
    status = REQUIRES_ACTION if calls else _STATUSES.get(sent_status, sent_status)
    error = fields.error("error")
    if status == FAILED and error is None:
        error = next(
            (RunError(message=text_of(task["error"])) for task in tasks if task.get("error")), None
        )
    updated_at = fields.stamp("updated_at")
    values = {
        "source": source,
        "run_id": document["run_id"],
        "observed_at": observed_at,
        "asked_at": asked_at,
        "unchanged_until": unchanged_until,
        "status": status,
        "thread_id": fields.text("thread_id"),
        "assistant_id": fields.text("assistant_id"),
        "created_at": fields.stamp("created_at"),
        "ended_at": updated_at if status in ENDED or calls else None,
        "tool_calls": calls,
        "error": error,
        "incomplete_reason": fields.prose("cancel_reason") if status == CANCELLED else None,
        "metadata": fields.metadata(),
        "peculiarities": fields.found | peculiarities(document, _DOCUMENTED),
    }
    return validate(RunSnapshot, values, "a run of a graph that can be tracked")


def is_graph_run(body: Mapping[str, Any]) -> bool:
    """True if a document of unknown origin is a run: it has no `object`, but a `run_id`.

    A step and a message have a `run_id` beside their own id.
    """
    is_nameless = body.get("object") in (None, "run") and "id" not in body
    return is_nameless and {"run_id", "status", "thread_id"} <= body.keys()


def _calls(
    run: Mapping[str, Any], state: Mapping[str, Any], tasks: list[dict[str, Any]]
) -> tuple[ToolCall, ...]:
    """Returns the interrupts of a thread, else the nodes before which it was stopped."""
    found: list[tuple[Mapping[str, Any], dict[str, Any]]] = [
        (task, interrupt) for task in tasks for interrupt in objects_in(task.get("interrupts"))
    ]
    if not found:
        values = run.get("values") if "state" not in run else None
        given = values.get(_INTERRUPTS) if isinstance(values, Mapping) else state.get("interrupts")
        found = [({}, interrupt) for interrupt in objects_in(given)]
    if found:
        return tuple(
            ToolCall(
                id=text_of(interrupt.get("id")) or f"interrupt {number}",
                type="interrupt",
                name=text_of(task.get("name")),
                arguments=text_of(interrupt.get("value")),
            )
            for number, (task, interrupt) in enumerate(found, start=1)
        )
    if run["status"] == INTERRUPTED:
        # A run that was stopped has nodes to come as well.
        return ()
    nodes = state.get("next")
    return tuple(
        ToolCall(id=f"before {text_of(node)}", type="breakpoint", name=text_of(node))
        for node in (nodes if isinstance(nodes, list) else ())
    )


FORMAT = PayloadFormat(Api.langgraph, is_graph_run, glance, graph_run_snapshot)
