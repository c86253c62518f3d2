"""Runs of LangGraph and states of their threads, as the server shows them."""

from typing import Any


def graph_run(status: str, number: int = 1, **more: Any) -> dict[str, Any]:
    """Returns a run as the server shows it."""
    return {
        "run_id": f"run-{number}",
        "thread_id": "thread-1",
        "assistant_id": "agent",
        "status": status,
        "created_at": "2026-01-01T12:00:00+00:00",
        "updated_at": "2026-01-01T12:00:05.500000+00:00",
        "metadata": {"graph_id": "agent"},
        "kwargs": {"input": {}},
        **more,
    }


def thread_state(
    *interrupts: object, error: str | None = None, after: list[str] | None = None
) -> object:
    """Returns the state of a thread, stopped if it has an interrupt, an error or a next node."""
    task = {"id": "t1", "name": "work", "error": error, "interrupts": list(interrupts)}
    stopped = interrupts or error or after
    return {"values": {"secret": 1}, "next": after or [], "tasks": [task] if stopped else []}
