"""Events of one run in a few words, and the rows that they make: for tests of the read side."""

from datetime import UTC, datetime, timedelta
from typing import Any

from projections.queries import PhaseRow, RunRow
from projections.runs import History, fold
from tracker.core import events as e
from tracker.core.snapshot import ToolCall
from tracker.event_store.store import RecordedEvent

BIRTH = datetime(2026, 1, 1, 12, tzinfo=UTC)
CALLS = (ToolCall(id="call_1", name="price", arguments="{}"),)


def second(number: float) -> datetime:
    return BIRTH + timedelta(seconds=number)


def seen(number: float) -> datetime:
    """A moment of our clock: our polls are a quarter of a second after a whole second."""
    return second(number + 0.25)


def created(at: float = 1, **more: Any) -> e.RunCreated:
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
    return changed("in_progress", at, since, stamp=stamp, **more)


def changed(
    status: str, at: float, since: float | None, stamp: float | None = None, **more: Any
) -> e.RunStatusChanged:
    return e.RunStatusChanged(
        observed_at=seen(at),
        occurred_at=None if stamp is None else second(stamp),
        not_before=None if since is None else seen(since),
        status=status,
        **{"previous": "queued", **more},
    )


def waiting(at: float, since: float, **more: Any) -> e.RunActionRequired:
    return e.RunActionRequired(
        observed_at=seen(at),
        not_before=seen(since),
        **{"previous": "in_progress", "tool_calls": CALLS, **more},
    )


def ended(
    kind: type[e.RunEnded], at: float, stamp: float | None, since: float, **more: Any
) -> e.RunEnded:
    return kind(
        observed_at=seen(at),
        occurred_at=None if stamp is None else second(stamp),
        not_before=seen(since),
        **{"previous": "in_progress", **more},
    )


def told(*events: e.Event) -> tuple[RunRow, list[PhaseRow]]:
    history = History()
    for version, event in enumerate(events, 1):
        fold(history, RecordedEvent(version + 100, "assistants:run_1", version, event))
    assert history.row is not None
    return RunRow(**history.row), [history.phases[seq] for seq in sorted(history.phases)]


def phases_of(phases: list[PhaseRow]) -> list[tuple[str, float | None, float | None, str]]:
    return [(it.status, it.seconds, it.uncertainty_seconds, it.basis) for it in phases]
