"""Events that handlers are to be brought, and trackers of a service that nobody asks."""

from datetime import UTC, datetime
from typing import Any

from tracker import EventStore, Tracker
from tracker.core.events import RunCompleted, RunCreated
from tracker.event_store import Append
from tracker.sources import Assistants

AT = datetime(2026, 1, 1, tzinfo=UTC)


def nowhere(store: str | EventStore, **settings: Any) -> Tracker:
    """A tracker of a service that nobody asks."""
    return Tracker(store, Assistants("http://127.0.0.1:9/v1"), resume=False, **settings)


def created(number: int) -> Append:
    run_id = f"run_{number}"
    event = RunCreated(
        observed_at=AT,
        source="assistants",
        run_id=run_id,
        status="queued",
        thread_id=f"thread_{number}",
    )
    return Append(f"assistants:{run_id}", 0, [event])


def completed(number: int) -> Append:
    end = RunCompleted(observed_at=AT, previous="queued")
    return Append(f"assistants:run_{number}", 1, [end])
