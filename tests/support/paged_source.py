"""A scripted source that lists the runs of a thread in pages."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.poller_bench import Bench, ScriptedSource, body
from tracker.errors import RunfoldError
from tracker.sources.answer import Answer


class PagedSource(ScriptedSource):
    """A source whose `runs`, the newest first, are listed in pages.

    `pages` are the limits of the pages that were fetched, `singles` the runs fetched alone.
    """

    def __init__(self, bench: Bench, *runs: str, failures: Sequence[RunfoldError] = ()) -> None:
        super().__init__(bench.clock, body("queued"))
        self.runs = {name: body("in_progress", id=name) for name in runs}
        self.failures = list(failures)
        self.pages: list[int] = []
        self.singles: list[str] = []

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        self.singles.append(run_id)
        return self._answer(self.runs[run_id])

    async def fetch_page(
        self, thread_id: str, limit: int
    ) -> tuple[Answer, Sequence[Mapping[str, Any]]]:
        self.pages.append(limit)
        if self.failures:
            raise self.failures.pop(0)
        return self._answer({}), list(self.runs.values())[:limit]

    def _answer(self, document: Mapping[str, Any]) -> Answer:
        now = self.clock.now()
        return Answer(json.dumps(document).encode(), 200, now, now)

    def end(self, name: str) -> None:
        """Has a run complete."""
        self.runs[name] = body("completed", id=name)
