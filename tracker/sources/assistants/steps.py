"""The steps of runs, a part of the Assistants resource."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tracker.sources.assistants.models import RunStep
from tracker.sources.assistants.pages import StepPage
from tracker.sources.assistants.snapshots import STEP_OBJECT
from tracker.sources.http.requests import ask_for, ask_for_page, page_query, runs_path
from tracker.sources.http.transport import Transport
from tracker.sources.wire import read_answer

_EXPECTED = {"object": STEP_OBJECT}


class Steps:
    """The steps of runs. Each method raises SourceError, or SettingsError for an unusable id."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def retrieve(
        self, thread_id: str, run_id: str, step_id: str, *, include: Sequence[str] = ()
    ) -> RunStep:
        """Returns one step. `include` names fields that the service leaves out by default."""
        path = runs_path(thread_id, run_id, "steps", step_id)
        expected = {**_EXPECTED, "id": step_id, "run_id": run_id, "thread_id": thread_id}
        answer, document = await ask_for(
            self._transport, "GET", path, expected, query=_include_query(include)
        )
        return read_answer(RunStep, answer, document, f"GET {path}")

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
        """Returns a page of a run's steps, the newest first unless `order` says otherwise."""
        query = page_query(after=after, before=before, limit=limit, order=order)
        return await ask_for_page(
            self._transport,
            runs_path(thread_id, run_id, "steps"),
            StepPage,
            {**_EXPECTED, "run_id": run_id, "thread_id": thread_id},
            [*query, *_include_query(include)],
        )


def _include_query(include: Sequence[str]) -> list[tuple[str, str]]:
    return [("include[]", name) for name in include]
