"""The statuses of a run. Any other text is kept as given, and never ends a run."""

from __future__ import annotations

QUEUED = "queued"
IN_PROGRESS = "in_progress"
REQUIRES_ACTION = "requires_action"
CANCELLING = "cancelling"
COMPLETED = "completed"
FAILED = "failed"
CANCELLED = "cancelled"
EXPIRED = "expired"
INCOMPLETE = "incomplete"

ENDED = frozenset({COMPLETED, FAILED, CANCELLED, EXPIRED, INCOMPLETE})


def is_ended(status: str) -> bool:
    """True if a run in this status has ended."""
    return status in ENDED
