"""The part of an Assistants source that reads answers, for sources without HTTP."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tracker.core.snapshot import RunSnapshot
from tracker.sources.assistants.snapshots import glance, run_snapshot


class AssistantsAnswers:
    """A source of tests that reads answers as `Assistants` does."""

    name = "assistants"

    def glance(self, body: bytes) -> object:
        """Returns what tells two answers apart."""
        return glance(body)

    def snapshot(
        self,
        body: bytes | Mapping[str, Any],
        *,
        observed_at: datetime,
        asked_at: datetime | None = None,
        unchanged_until: datetime | None = None,
    ) -> RunSnapshot:
        """Parses an answer."""
        return run_snapshot(
            body,
            self.name,
            observed_at=observed_at,
            asked_at=asked_at,
            unchanged_until=unchanged_until,
        )

    def recognises(self, body: Mapping[str, Any]) -> bool:
        """Returns True."""
        return True

    async def aclose(self) -> None:
        """Closes nothing."""
