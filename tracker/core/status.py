"""The statuses of a run. Any other text is kept as given: it is active, and never an end."""

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
    """Whether a run in this status has come to its end."""
    return status in ENDED
