"""The row of a run and its phases, folded from its events: pure, no database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from projections.phases import added, boundary, closed, first_phase, opened, stamp_width
from projections.queries import PhaseRow, RunRow
from tracker.core import events as e
from tracker.core.status import IN_PROGRESS, QUEUED, REQUIRES_ACTION
from tracker.core.usage import Usage
from tracker.event_store.store import RecordedEvent

VANISHED = "vanished"

_NAME_LENGTH = 256
_DURATIONS = {QUEUED: "queued_seconds", REQUIRES_ACTION: "action_seconds"}
_TOKENS = tuple(Usage.model_fields)


class History:
    """One run on its way through a fold: its row, its open phase, and the phases that changed.

    `row` is a column-to-value dict, None before the run is known; `phases` is keyed by `seq`.
    """

    __slots__ = ("open", "phases", "row")

    def __init__(self, row: dict[str, Any] | None = None, open: PhaseRow | None = None) -> None:
        self.row = row
        self.open = open
        self.phases: dict[int, PhaseRow] = {}


def fold(history: History, recorded: RecordedEvent) -> None:
    """Brings `history` on by one event; one that it already includes changes nothing.

    Durations are the sums of the phases that were left, None before the first of their kind;
    `running_seconds` takes all but queued and requires_action, `total_seconds` is end minus
    creation. `uncertainty_seconds` is the sum of all boundaries' widths, each once, and at the
    end no more than the run lasted. A run that vanished keeps its phase open and has that
    status again from its next sign of life.

    Raises ValueError where an event is missing before this one, or the run had ended before it,
    and TypeError for a kind of event that does not happen to a run.
    """
    event, row = recorded.event, history.row
    version = 0 if row is None else row["version"]
    if recorded.version <= version:
        return
    if recorded.version != version + 1:
        raise ValueError(f"version {version + 1} of {recorded.stream!r} is missing before it")
    if row is None:
        row = history.row = _created(history, recorded)
    else:
        _evolve(history, row, event)
    row["last_changed_at"] = event.observed_at.astimezone(UTC)
    row["version"] = recorded.version


def _created(history: History, recorded: RecordedEvent) -> dict[str, Any]:
    event = recorded.event
    if not isinstance(event, e.RunCreated):
        raise ValueError(f"{recorded.stream!r} begins with {event.topic}, not with run.created")
    phase = first_phase(recorded.stream, event)
    _open(history, phase)
    row: dict[str, Any] = dict.fromkeys(RunRow._fields)
    row.update(
        run_key=recorded.stream,
        source=event.source,
        run_id=event.run_id,
        thread_id=_name(event.thread_id),
        assistant_id=_name(event.assistant_id),
        model=_name(event.model),
        status=QUEUED,
        created_at=phase.entered_at,
        expires_at=_utc(event.expires_at),
        first_seen_at=event.observed_at.astimezone(UTC),
        uncertainty_seconds=phase.uncertainty_seconds,
        metadata=event.metadata,
        configuration_digest=_name(event.configuration_digest),
    )
    return row


def _evolve(history: History, row: dict[str, Any], event: e.Event) -> None:
    match event:
        case e.RunStatusChanged():
            _move(history, row, event, event.status)
            if event.status == IN_PROGRESS and event.occurred_at is not None:
                row["started_at"] = _utc(event.occurred_at)
        case e.RunActionRequired():
            # Other calls than before are no other phase.
            if history.open is None or history.open.status != REQUIRES_ACTION:
                _move(history, row, event, REQUIRES_ACTION)
            row["status"] = REQUIRES_ACTION
        case e.RunEnded():
            _end(history, row, event)
        case e.RunUsageReported():
            _count(row, event.usage)
        case e.RunMetadataChanged():
            row["metadata"] = event.metadata
        case e.RunTimesChanged():
            row["started_at"] = _utc(event.started_at) or row["started_at"]
            row["expires_at"] = _utc(event.expires_at) or row["expires_at"]
        case e.RunVanished():
            if history.open is not None:
                row["status"] = VANISHED
        case e.RunReappeared():
            if history.open is not None:
                row["status"] = history.open.status
        case e.RunStepRecorded() | e.ToolOutputsSubmitted() | e.RunAnomalyObserved():
            pass
        case _:
            raise TypeError(f"{type(event).__name__} does not happen to a known run")


def _move(history: History, row: dict[str, Any], event: e.Change, status: str) -> None:
    """Closes the open phase, and opens the next unless the run ends."""
    phase = history.open
    if phase is None:
        raise ValueError(f"the run had already ended as {row['outcome']}")
    bound = boundary(phase, event, status, has_start=row["started_at"] is not None)
    left = closed(phase, bound)
    history.phases[left.seq] = left
    column = _DURATIONS.get(left.status, "running_seconds")
    row[column] = added(row[column] or 0.0, left.seconds)
    wider = max(bound.closing or 0.0, bound.opening or 0.0)
    limited = bound.closing is not None and bound.opening is not None
    row["uncertainty_seconds"] = added(row["uncertainty_seconds"], wider if limited else None)
    row["status"] = status
    if not isinstance(event, e.RunEnded):
        _open(history, opened(phase, bound, status))
        return
    history.open = None
    row["outcome"] = status
    # The server's two stamps are exact together, even where ours ran ahead of them in between.
    ended_at = row["ended_at"] = _utc(event.occurred_at) or bound.moment
    row["total_seconds"] = max(0.0, (ended_at - row["created_at"]).total_seconds())
    if row["uncertainty_seconds"] is not None and bound.opening is not None:
        parts = (row["queued_seconds"] or 0.0) + (row["running_seconds"] or 0.0)
        parts += row["action_seconds"] or 0.0
        whole = row["total_seconds"] + stamp_width(row["created_at"]) + bound.opening
        row["uncertainty_seconds"] = round(min(row["uncertainty_seconds"], max(parts, whole)), 6)


def _end(history: History, row: dict[str, Any], event: e.RunEnded) -> None:
    _move(history, row, event, event.status)
    _count(row, event.usage)
    if event.error is not None:
        row["error_code"] = _text(event.error.code)
        row["error_message"] = _text(event.error.message)
    row["incomplete_reason"] = _text(event.reason)


def _open(history: History, phase: PhaseRow) -> None:
    history.open = history.phases[phase.seq] = phase


def _count(row: dict[str, Any], usage: Usage | None) -> None:
    for column in _TOKENS:
        row[column] = None if usage is None else getattr(usage, column)


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)


def _text(text: str | None) -> str | None:
    # PostgreSQL takes no NUL in a text; the event keeps the original.
    return text.replace("\x00", "\ufffd") if text and "\x00" in text else text


def _name(name: str | None) -> str | None:
    # An index entry has a limit that a service's text does not have.
    return _text(name[:_NAME_LENGTH]) if name else name
