"""What trackers report of themselves, for the page Health."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tracker.heartbeats.heartbeat import Heartbeat


def make_report(now: datetime, **changes: Any) -> Heartbeat:
    """Returns the report of a tracker that is well, or with other values."""
    report = Heartbeat(
        source="assistants",
        worker="worker-1 (pid 4127)",
        written_at=now - timedelta(seconds=2),
        age_seconds=2.0,
        rate=5.0,
        breaker="closed",
        held_until=None,
        refusing=None,
        refusing_since=None,
        denied=None,
        watched=6,
        due=1,
        waiting=0,
        asked=48_213,
        refused=112,
        failed=3,
        last_error=None,
        last_error_at=None,
        answered_at=now - timedelta(seconds=0.6),
        detected=900,
        detection_seconds=1.4,
        clock_ahead=0.0,
        peculiarities={},
        set_aside=0,
        given_up=0,
        clock_ahead_at_least=-0.1,
        clock_ahead_at_most=0.1,
    )
    return report._replace(**changes)


def list_reports(now: datetime) -> list[Heartbeat]:
    """Returns the reports of two sources, one of which the service asked to wait."""
    held = make_report(
        now,
        source="batch",
        rate=1.2,
        held_until=now + timedelta(seconds=21),
        watched=3,
        due=2,
        asked=9_120,
        refused=64,
        failed=0,
        answered_at=now - timedelta(seconds=11),
        detection_seconds=6.2,
        last_error="the service answered 429 and said to wait 30 s",
        peculiarities={"completed_without_usage": 9, "unknown_error_code": 2},
    )
    return [make_report(now), held]


def list_hostile_reports(now: datetime, text: str) -> list[Heartbeat]:
    """Returns a report whose every text is hostile."""
    told = {"last_error": text, "refusing": text, "denied": text, "breaker": text}
    return [
        make_report(now, source=text, worker=text, peculiarities={text: 1}, **told),
        make_report(now, source=text, worker=text, age_seconds=1e6, written_at=now),
    ]
