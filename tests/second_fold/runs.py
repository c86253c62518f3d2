"""A run, read from the whole of its history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tests.second_fold.timing import clean, measure_run
from tracker.core import events as e
from tracker.core.usage import Usage
from tracker.event_store import RecordedEvent

TOKENS = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cache_write_tokens",
    "cache_write_5m_tokens",
    "cache_write_30m_tokens",
    "cache_write_1h_tokens",
    "cache_write_12h_tokens",
)
# Larger counts are ignored.
TRILLION = 10**12


class Run(NamedTuple):
    """A run as the views should have it: a row of each table, columns by name."""

    row: dict[str, Any]
    phases: list[dict[str, Any]]
    actions: list[dict[str, Any]]
    steps: list[dict[str, Any]]

    @property
    def key(self) -> str:
        """The source, a colon and the id."""
        return str(self.row["run_key"])

    @property
    def is_ended(self) -> bool:
        """True if the run has ended."""
        return self.row["outcome"] is not None


def read_runs(recorded: Iterable[RecordedEvent]) -> dict[str, Run]:
    """Returns the runs of recorded events, by key."""
    histories: dict[str, list[e.Event]] = {}
    for it in recorded:
        if not isinstance(it.event, e.ConfigurationRecorded):
            histories.setdefault(it.stream, []).append(it.event)
    return {key: read_run(key, events) for key, events in histories.items()}


def read_run(key: str, events: Sequence[e.Event]) -> Run:
    """Returns the run of a history."""
    first = events[0]
    assert isinstance(first, e.RunCreated)
    end = next((it for it in events if isinstance(it, e.RunEnded)), None)
    times = measure_run(events)
    created_at = _told(events, "created_at") or first.occurred_at
    if created_at is None:
        created_at = min(filter(None, (first.observed_at, times.first_stamp)))
    error = None if end is None else end.error
    row = {
        "run_key": key,
        "source": first.source,
        "run_id": first.run_id,
        **{
            name: clean(_told(events, name) or getattr(first, name))
            for name in (
                *("thread_id", "assistant_id", "model", "configuration_digest"),
                *("parent_run_id", "subagent_id"),
            )
        },
        "status": _last_status(events, times.last, end),
        "outcome": None if end is None else end.status,
        "created_at": created_at,
        "started_at": _last(_starts(events)),
        "ended_at": times.ended_at,
        "expires_at": _last(
            it.expires_at for it in events if isinstance(it, e.RunCreated | e.RunTimesChanged)
        ),
        "first_seen_at": first.observed_at,
        "last_changed_at": max(it.observed_at for it in events),
        **_last_tokens(events),
        "service_tier": clean(_last_tier(events)),
        **times.columns,
        "error_code": None if error is None else clean(error.code),
        "error_message": None if error is None else clean(error.message),
        "incomplete_reason": None if end is None else clean(end.reason),
        "metadata": _last_metadata(events),
        "thread_usage": _last_thread_usage(events),
        "environment_status": clean(
            _last(it.status for it in events if isinstance(it, e.EnvironmentReported))
        ),
        "version": len(events),
    }
    return Run(row, times.phases, times.actions, _step_rows(events))


def _last(values: Iterable[Any]) -> Any:
    """Returns the last value that somebody said."""
    return next((it for it in reversed(list(values)) if it is not None), None)


def _told(events: Sequence[e.Event], name: str) -> Any:
    """Returns what was told of a run after its first sight."""
    return _last(getattr(it, name) for it in events if isinstance(it, e.RunIdentified))


def _starts(events: Sequence[e.Event]) -> Iterable[datetime | None]:
    for event in events:
        if isinstance(event, e.RunStatusChanged) and event.status == "in_progress":
            yield event.occurred_at
        elif isinstance(event, e.RunTimesChanged):
            yield event.started_at


def _last_status(events: Sequence[e.Event], status: str, end: e.RunEnded | None) -> str:
    # A run that vanished is back once it is seen to move.
    signs = (e.RunVanished, e.RunReappeared, e.RunStatusChanged, e.RunActionRequired)
    sign = _last(it for it in events if isinstance(it, signs))
    return "vanished" if end is None and isinstance(sign, e.RunVanished) else status


def _last_tokens(events: Sequence[e.Event]) -> dict[str, int | None]:
    """Returns the last plausible count of each kind that was reported.

    Counts of an end are whole: none of those that were told before it counts beside them.
    """
    reports: list[Usage | None] = []
    for event in events:
        if isinstance(event, e.RunEnded) and event.usage is not None:
            reports = [event.usage]
        elif isinstance(event, e.RunUsageReported):
            reports.append(event.usage)
    known = [_plausible(it) for it in reports if it is not None]
    return {name: _last(it[name] for it in known) for name in TOKENS}


def _last_tier(events: Sequence[e.Event]) -> str | None:
    """Returns the tier that a service named last, or else the one that was asked for."""
    asked = [it.service_tier for it in events if isinstance(it, e.RunCreated)]
    reports = [it.usage for it in events if isinstance(it, e.RunEnded | e.RunUsageReported)]
    tier: str | None = _last([*asked, *(it.service_tier for it in reports if it is not None)])
    return tier


def _plausible(usage: Usage | None) -> dict[str, int | None]:
    counts = {name: None if usage is None else getattr(usage, name) for name in TOKENS}
    return {name: None if it is None or it > TRILLION else it for name, it in counts.items()}


def _last_thread_usage(events: Sequence[e.Event]) -> dict[str, Any] | None:
    """Returns what was told last of the whole thread, and when."""
    told = _last(it for it in events if isinstance(it, e.ThreadUsageReported))
    if told is None:
        return None
    counts = {name: it for name, it in _plausible(told.usage).items() if it is not None}
    return {"reported_at": told.observed_at.astimezone(UTC).isoformat(), **counts}


def _last_metadata(events: Sequence[e.Event]) -> Any:
    changes = [it for it in events if isinstance(it, e.RunCreated | e.RunMetadataChanged)]
    return _clean_deeply(changes[-1].metadata or {})


def _clean_deeply(value: Any) -> Any:
    if isinstance(value, dict):
        return {clean(key): _clean_deeply(it) for key, it in value.items()}
    return [_clean_deeply(it) for it in value] if isinstance(value, list) else clean(value)


def _step_rows(events: Sequence[e.Event]) -> list[dict[str, Any]]:
    """Returns the last record of each step, the oldest step first."""
    steps = {it.step_id: it for it in events if isinstance(it, e.RunStepRecorded)}
    rows = []
    for step in steps.values():
        length = None
        if step.created_at is not None and step.ended_at is not None:
            length = max(0.0, (step.ended_at - step.created_at).total_seconds())
        row = {
            "step_id": clean(step.step_id),
            "type": clean(step.type),
            "status": clean(step.status),
            "tools": [clean(it) for it in step.tools],
            "created_at": step.created_at,
            "ended_at": step.ended_at,
            "seconds": length,
            **_plausible(step.usage),
        }
        rows.append(row)
    rows.sort(key=lambda it: (it["created_at"] is None, it["created_at"], it["step_id"]))
    return rows
