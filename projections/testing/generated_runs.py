"""Random histories of runs, for tests of projections."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tracker.core import events as e
from tracker.core.events import Event, run_stream
from tracker.core.snapshot import RunError, ToolCall
from tracker.core.usage import Usage

_BEGIN = datetime(2026, 1, 1, 12, tzinfo=UTC)
_TENANTS = ("acme", "initech", "umbrella")
_MODELS = ("gpt-4o", "gpt-4.1-mini", None)
_TOOLS = ("get_weather", "search")


def random_histories(seed: int = 0, number: int = 20) -> dict[str, list[Event]]:
    """Returns the events of so many runs by their keys; equal seeds give equal histories.

    Some runs are open, wait for calls, fail, or are corrected after their end. All have a `tenant`
    in their metadata.
    """
    rng = Random(seed)
    return {
        run_stream("assistants", f"run_{it}"): _make_history(rng, f"run_{it}")
        for it in range(number)
    }


def _make_history(rng: Random, run_id: str) -> list[Event]:
    now = _BEGIN + timedelta(seconds=rng.randrange(200_000))
    tenant = rng.choice(_TENANTS)
    events: list[Event] = [
        e.RunCreated(
            observed_at=now + timedelta(seconds=0.3),
            occurred_at=now,
            source="assistants",
            run_id=run_id,
            status="queued",
            thread_id=f"thread_{rng.randrange(5)}",
            assistant_id=f"asst_{rng.randrange(2)}",
            model=rng.choice(_MODELS),
            metadata={"tenant": tenant},
        )
    ]

    def later() -> dict[str, Any]:
        """Returns the times of the next event: a look a second after the last one, and before."""
        nonlocal now
        now += timedelta(seconds=rng.randrange(1, 30))
        return {
            "occurred_at": now,
            "observed_at": now + timedelta(seconds=0.6),
            "not_before": now - timedelta(seconds=0.4),
        }

    if rng.random() < 0.1:
        return events
    events.append(e.RunStatusChanged(previous="queued", status="in_progress", **later()))
    for pause in range(rng.choice((0, 0, 1, 2))):
        events += _make_pause(rng, f"{run_id}_{pause}", later())
        if rng.random() < 0.1:
            return events
        events.append(
            e.RunStatusChanged(previous="requires_action", status="in_progress", **later())
        )
    if rng.random() < 0.1:
        return events
    end = rng.choice((e.RunCompleted, e.RunCompleted, e.RunFailed, e.RunCancelled))
    usage = None if rng.random() < 0.2 else _make_usage(rng)
    error = RunError(code="server_error", message="no") if end is e.RunFailed else None
    events.append(end(previous="in_progress", usage=usage, error=error, **later()))
    return [*events, *_make_corrections(rng, run_id, now, tenant, usage)]


def _make_pause(rng: Random, name: str, times: dict[str, Any]) -> list[Event]:
    calls = tuple(
        ToolCall(id=f"call_{name}_{it}", name=rng.choice(_TOOLS), arguments="{}")
        for it in range(rng.choice((1, 1, 2)))
    )
    times = {name: it for name, it in times.items() if name != "occurred_at"}
    return [e.RunActionRequired(previous="in_progress", tool_calls=calls, **times)]


def _make_corrections(
    rng: Random, run_id: str, ended_at: datetime, tenant: str, usage: Usage | None
) -> Sequence[Event]:
    seen = ended_at + timedelta(seconds=2)
    found: list[Event] = []
    if rng.random() < 0.5:
        found.append(
            e.RunStepRecorded(
                observed_at=seen,
                step_id=f"step_{run_id}",
                type="message_creation",
                status="completed",
                created_at=ended_at - timedelta(seconds=1),
                ended_at=ended_at,
                usage=_make_usage(rng),
            )
        )
    if rng.random() < 0.3:
        found.append(
            e.RunUsageReported(
                observed_at=seen + timedelta(seconds=1), previous=usage, usage=_make_usage(rng)
            )
        )
    if rng.random() < 0.2:
        found.append(
            e.RunMetadataChanged(
                observed_at=seen + timedelta(seconds=2),
                previous={"tenant": tenant},
                metadata={"tenant": rng.choice(_TENANTS)},
            )
        )
    return found


def _make_usage(rng: Random) -> Usage:
    prompt, completion = rng.randrange(1, 5000), rng.randrange(1, 900)
    return Usage(
        prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion
    )
