"""Snapshots of one run, and given-when-then statements about the decider."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tracker.core.events import (
    Event,
    RunActionRequired,
    RunEnded,
    RunStatusChanged,
)
from tracker.core.snapshot import Configuration, RunSnapshot, ToolCall
from tracker.core.usage import Usage
from tracker.testing import Given, given

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
CALL = ToolCall(id="call_1", name="price", arguments="{}")
FUNCTIONS = Configuration(tools=({"type": "function", "function": {"name": "price"}},))
SERVED = Configuration(tools=({"type": "file_search"},))
USAGE = Usage(prompt_tokens=10, completion_tokens=5, total_tokens=15)


def at(seconds: float) -> datetime:
    """Returns a moment by its seconds after the creation of the run."""
    return START + timedelta(seconds=seconds)


def seen(status: str, second: float, *, started: float | None = None, **more: Any) -> RunSnapshot:
    """Returns a poll, sent and answered around a second after the creation of the run."""
    fields: dict[str, Any] = {
        "source": "assistants",
        "run_id": "run_1",
        "observed_at": at(second),
        "asked_at": at(second - 0.05),
        "created_at": START,
        "started_at": at(started) if started is not None else None,
        "configuration": FUNCTIONS,
        "status": status,
    }
    return RunSnapshot(**(fields | more))


def document(status: str, second: float, **more: Any) -> RunSnapshot:
    """Returns the same snapshot as from a file of unknown age."""
    return seen(status, second, **more).model_copy(update={"asked_at": None})


def waiting(
    second: float, *, started: float | None = 1, calls: tuple[ToolCall, ...] = (CALL,)
) -> RunSnapshot:
    """Returns a poll of a run that waits for tool outputs."""
    return seen("requires_action", second, started=started, tool_calls=calls)


def ended(
    status: str, second: float, end: float, started: float | None = 1, **more: Any
) -> RunSnapshot:
    """Returns a poll of a run that has ended."""
    return seen(status, second, started=started, ended_at=at(end), **more)


def history(*snapshots: RunSnapshot) -> Given:
    """Returns a history made by observing these snapshots."""
    return given(*given().when(*snapshots).decided)


def statuses(events: list[Event]) -> list[tuple[str, bool]]:
    """Returns each change of status, and whether it was inferred."""
    changes = []
    for event in events:
        if isinstance(event, RunStatusChanged):
            changes.append((event.status, event.inferred))
        elif isinstance(event, RunActionRequired):
            changes.append(("requires_action", event.inferred))
        elif isinstance(event, RunEnded):
            changes.append((event.status, event.inferred))
    return changes
