"""Events for handlers, and trackers of a service that is never polled."""

from datetime import UTC, datetime
from typing import Any

from tracker import EventStore, Tracker
from tracker.core.events import RunCompleted, RunCreated
from tracker.event_store import Append
from tracker.sources import Assistants

AT = datetime(2026, 1, 1, tzinfo=UTC)


def unpolled_tracker(store: str | EventStore, **settings: Any) -> Tracker:
    """Returns a tracker of a service that cannot be reached."""
    return Tracker(store, Assistants("http://127.0.0.1:9/v1"), resume=False, **settings)


def created(number: int) -> Append:
    """Returns the creation of a run."""
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
    """Returns the end of a run."""
    end = RunCompleted(observed_at=AT, previous="queued")
    return Append(f"assistants:run_{number}", 1, [end])
