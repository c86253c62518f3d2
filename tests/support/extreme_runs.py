"""Runs at the ends of time: an event store may hold them, though no snapshot has such stamps."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tracker.core.snapshot import RunSnapshot, ToolCall
from tracker.core.usage import Usage
from tracker.event_store import EventStore
from tracker.recording.observation import Observation, RecordResult
from tracker.recording.repository import RunRepository

USAGE = Usage(prompt_tokens=10, completion_tokens=5, total_tokens=15)
MOMENTS = (
    datetime.min.replace(tzinfo=UTC),
    datetime(1, 1, 1, 5, 30, tzinfo=UTC),
    datetime(1900, 6, 1, 12, 7, 7, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
    datetime(2603, 5, 6, 7, 8, 9, 10, tzinfo=UTC),
    datetime(9999, 12, 31, 16, 1, tzinfo=UTC),
    datetime.max.replace(tzinfo=UTC),
)


def extreme_snapshots() -> Iterator[RunSnapshot]:
    """Yields an open run, an ended one and one that waits, of each moment; each is seen then."""
    for number, moment in enumerate(MOMENTS):
        later = min(moment, MOMENTS[-1] - timedelta(seconds=9)) + timedelta(seconds=9)
        known = {
            "source": "mine",
            "thread_id": f"thread_{number}",
            "assistant_id": f"asst_{number}",
            "model": "gpt-4o",
            "observed_at": later,
            "metadata": {"year": moment.year},
        }
        # Times that no snapshot takes: they are set past its validation.
        stamps = {"created_at": moment, "started_at": moment, "expires_at": later}
        ended = {"status": "completed", "usage": USAGE}
        calls = (ToolCall(id="call_1", name="price", arguments="{}"),)
        waiting = {"status": "requires_action", "tool_calls": calls}
        for name, more in (
            ("open", {"status": "in_progress"}),
            ("ended", ended),
            ("waiting", waiting),
        ):
            snapshot = RunSnapshot.model_validate(
                {**known, **more, "run_id": f"{name}_{moment.year}_{number}"}
            )
            ended_at = None if name == "open" else later
            yield snapshot.model_copy(update={**stamps, "ended_at": ended_at})


def record_extreme_runs(store: EventStore) -> int:
    """Records the snapshots; returns the number of runs."""
    snapshots = list(extreme_snapshots())
    results = RunRepository(store).record([Observation.of(it) for it in snapshots])
    assert all(isinstance(it, RecordResult) and it.events for it in results), results
    return len(snapshots)
