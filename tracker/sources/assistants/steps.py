"""The steps of runs, as a part of the Assistants resource."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tracker.sources.assistants.models import RunStep
from tracker.sources.assistants.pages import StepPage
from tracker.sources.assistants.snapshots import STEP_OBJECT
from tracker.sources.http.requests import answered, ask_for, ask_for_page, page_query, runs_path
from tracker.sources.http.transport import Transport

_KIND = {"object": STEP_OBJECT}


class Steps:
    """What a run did, step by step. Each method raises SourceError, or SettingsError for an id."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def retrieve(
        self, thread_id: str, run_id: str, step_id: str, *, include: Sequence[str] = ()
    ) -> RunStep:
        """One step. `include` names fields that the service leaves out by default."""
        path = runs_path(thread_id, run_id, "steps", step_id)
        expected = {**_KIND, "id": step_id, "run_id": run_id, "thread_id": thread_id}
        answer, document = await ask_for(
            self._transport, "GET", path, expected, query=_included(include)
        )
        return answered(RunStep, answer, document, f"GET {path}")

    async def list(
        self,
        thread_id: str,
        run_id: str,
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int | None = None,
        order: Literal["asc", "desc"] | None = None,
        include: Sequence[str] = (),
    ) -> StepPage:
        """A page of a run's steps, the newest first unless `order` says otherwise."""
        query = page_query(after=after, before=before, limit=limit, order=order)
        return await ask_for_page(
            self._transport,
            runs_path(thread_id, run_id, "steps"),
            StepPage,
            {**_KIND, "run_id": run_id, "thread_id": thread_id},
            [*query, *_included(include)],
        )


def _included(include: Sequence[str]) -> list[tuple[str, str]]:
    return [("include[]", name) for name in include]
