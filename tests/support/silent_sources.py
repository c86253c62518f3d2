"""Sources whose polls fail: their runs are recorded in other ways only."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tracker.core.snapshot import RunSnapshot
from tracker.errors import Unreachable
from tracker.sources import Answer, Assistants, Responses
from tracker.sources.assistants.models import Run
from tracker.sources.responses.models import Response


class SilentAssistants(Assistants):
    """An Assistants source whose polls fail; `decoded` counts the bodies that were read."""

    decoded = 0

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        raise Unreachable("it is not asked here")

    async def fetch_page(
        self, thread_id: str, limit: int
    ) -> tuple[Answer, Sequence[Mapping[str, Any]]]:
        raise Unreachable("it is not asked here")

    def snapshot(
        self,
        body: bytes | Mapping[str, Any] | Run,
        *,
        observed_at: datetime,
        asked_at: datetime | None = None,
        unchanged_until: datetime | None = None,
    ) -> RunSnapshot:
        self.decoded += 1
        return super().snapshot(
            body, observed_at=observed_at, asked_at=asked_at, unchanged_until=unchanged_until
        )


class SilentResponses(Responses):
    """A Responses source whose polls fail; `decoded` counts the bodies that were read."""

    decoded = 0

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        raise Unreachable("it is not asked here")

    def snapshot(
        self,
        body: bytes | Mapping[str, Any] | Response,
        *,
        observed_at: datetime,
        asked_at: datetime | None = None,
        unchanged_until: datetime | None = None,
    ) -> RunSnapshot:
        self.decoded += 1
        return super().snapshot(
            body, observed_at=observed_at, asked_at=asked_at, unchanged_until=unchanged_until
        )
