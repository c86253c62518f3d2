"""Events of one run, and the rows that they give."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from projections.folding.actions import action_rows
from projections.folding.micros import moment_of
from projections.folding.phases import phase_rows
from projections.folding.run_row import RunTrace, row_values
from projections.folding.status_trace import fold
from projections.projectors.steps import step_values
from projections.row_types import ActionRow, PhaseRow, RunRow, StepRow, field_names
from tracker.core import events as e
from tracker.core.snapshot import ToolCall
from tracker.event_store import Append, RecordedEvent

BIRTH = datetime(2026, 1, 1, 12, tzinfo=UTC)
# An event for tests of the store, which are about no run in particular.
STATUS_CHANGED = e.RunStatusChanged(observed_at=BIRTH, previous="queued", status="in_progress")
CALLS = (ToolCall(id="call_1", name="price", arguments="{}"),)


def second(number: float) -> datetime:
    """Returns a moment by its seconds after the creation of a run."""
    return BIRTH + timedelta(seconds=number)


def seen(number: float) -> datetime:
    """Returns a moment of our clock, which is a quarter of a second ahead of whole seconds."""
    return second(number + 0.25)


def created(at: float = 1, **more: Any) -> e.RunCreated:
    """Returns the creation of a run."""
    return e.RunCreated(
        **{
            "observed_at": seen(at),
            "occurred_at": BIRTH,
            "source": "assistants",
            "run_id": "run_1",
            "status": "queued",
            "expires_at": second(600),
            "metadata": {"user": "ann"},
            **more,
        }
    )


def started(at: float, stamp: float | None, since: float | None, **more: Any) -> e.RunStatusChanged:
    """Returns a change to in_progress."""
    return changed("in_progress", at, since, stamp=stamp, **more)


def changed(
    status: str, at: float, since: float | None, stamp: float | None = None, **more: Any
) -> e.RunStatusChanged:
    """Returns a change of status."""
    return e.RunStatusChanged(
        observed_at=seen(at),
        occurred_at=None if stamp is None else second(stamp),
        not_before=None if since is None else seen(since),
        status=status,
        **{"previous": "queued", **more},
    )


def waiting(at: float, since: float, **more: Any) -> e.RunActionRequired:
    """Returns a stop for tool outputs."""
    return e.RunActionRequired(
        observed_at=seen(at),
        not_before=seen(since),
        **{"previous": "in_progress", "tool_calls": CALLS, **more},
    )


def ended(
    kind: type[e.RunEnded], at: float, stamp: float | None, since: float, **more: Any
) -> e.RunEnded:
    """Returns the end of a run."""
    return kind(
        observed_at=seen(at),
        occurred_at=None if stamp is None else second(stamp),
        not_before=seen(since),
        **{"previous": "in_progress", **more},
    )


def rows_after(*events: e.Event) -> tuple[RunRow, list[PhaseRow]]:
    """Returns the row and the phases of a run after these events."""
    return rows_of(history_of("assistants:run_1", events))


def history_of(key: str, events: Sequence[e.Event]) -> RunTrace:
    """Returns the folded history of a run."""
    history = RunTrace(key)
    for version, event in enumerate(events, 1):
        fold(history, RecordedEvent(version + 100, key, version, event))
    return history


def rows_of(history: RunTrace) -> tuple[RunRow, list[PhaseRow]]:
    """Returns the row and the phases of a history."""
    values = phase_rows(history.key, history.measure())
    phases = [PhaseRow(*it[:3], moment_of(it[3]), moment_of(it[4]), *it[5:]) for it in values]
    return run_row(history), phases


def run_row(history: RunTrace) -> RunRow:
    """Returns the row of a run as it is read, with moments in UTC."""
    row = RunRow(*row_values(history, history.measure()))
    moments: dict[str, Any] = {
        name: moment_of(getattr(row, name)) for name in field_names(RunRow) if name.endswith("_at")
    }
    return replace(row, metadata=json.loads(str(row.metadata)), **moments)


def actions_of(key: str, events: Sequence[e.Event]) -> list[ActionRow]:
    """Returns the rows of the actions of a run."""
    history = history_of(key, events)
    return [
        ActionRow(*values[:6], moment_of(values[6]), moment_of(values[7]), *values[8:])
        for values in sorted(action_rows(key, history.measure()), key=lambda it: it[:3])
    ]


def steps_of(key: str, events: Sequence[e.Event]) -> list[StepRow]:
    """Returns the rows of the steps of a run."""
    rows = {}
    for event in events:
        if isinstance(event, e.RunStepRecorded):
            values = step_values(key, event)
            values[4] = json.loads(values[4])
            values[5:7] = map(moment_of, values[5:7])
            rows[event.step_id] = StepRow(*values)
    return [rows[step_id] for step_id in sorted(rows)]


def values_of(row: Any) -> tuple[Any, ...]:
    """Returns the values of a row or another dataclass in the order of its fields."""
    return tuple(getattr(row, name) for name in field_names(type(row)))


def phases_of(phases: Sequence[PhaseRow]) -> list[str]:
    """Returns each phase as a text: status, seconds, their bounds, and the basis."""
    return [
        f"{it.status} {range_text(it.seconds, it.at_least_seconds, it.at_most_seconds)} {it.basis}"
        for it in phases
    ]


def range_text(value: float | None, least: float | None, most: float | None) -> str:
    """Returns a duration with its bounds, in tenths of a second."""
    shown = ["?" if it is None else f"{it:.1f}" for it in (value, least, most)]
    return f"{shown[0]} ({shown[1]}-{shown[2]})"


def kinds_of(run: RunRow) -> dict[str, str]:
    """Returns the durations of a run that have bounds, as texts."""
    found = {
        kind: [getattr(run, f"{kind}{it}_seconds") for it in ("", "_at_least", "_at_most")]
        for kind in ("queued", "running", "action", "total")
    }
    return {kind: range_text(*it) for kind, it in found.items() if it[1] is not None}


def created_runs(number: int) -> list[Append]:
    """Returns the creation of so many runs, each in a stream of its own."""
    return [
        Append(f"assistants:run_{it}", 0, [created(run_id=f"run_{it}")]) for it in range(number)
    ]
