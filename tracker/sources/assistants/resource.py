"""The Assistants resource, and the source of its runs.

Follows the OpenAI API reference, versions 1 and 2 of the beta, as OpenAI, Azure and their
look-alikes serve it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Unpack

from tracker.core.snapshot import StepSnapshot
from tracker.errors import RequestRefused
from tracker.sources.answer import Answer
from tracker.sources.asked import check_answer
from tracker.sources.assistants import snapshots
from tracker.sources.assistants.models import Run, RunStep
from tracker.sources.assistants.pages import RunPage
from tracker.sources.assistants.snapshots import RUN_OBJECT, STEP_OBJECT
from tracker.sources.assistants.steps import Steps
from tracker.sources.http.api_keys import ApiKey
from tracker.sources.http.requests import (
    admit_outcome,
    ask_for,
    ask_for_entries,
    ask_for_page,
    page_query,
    runs_path,
    without_stream,
)
from tracker.sources.http.source import HttpSettings, HttpSource
from tracker.sources.http.transport import AuthHeader
from tracker.sources.wire import read_answer


class Assistants(HttpSource):
    """A service with the Assistants API. Nothing is opened before the first call.

    `name` is the `source` of its runs. `beta` is the version of the API, None for a service that
    wants no such header. The other parameters are documented at `HttpSource`.

    For Azure, set `api_version`, `beta=None`, and either the resource's key with
    `auth_header="api-key"`, or as `api_key` a function, async or not, that returns a token of
    Entra ID; it is called for each request, so it should cache the token. Foundry's classic
    agents are at `https://….services.ai.azure.com/api/projects/PROJECT`, version `2025-05-01`; a
    run there may also wait for `submit_tool_approval`, which is answered with
    `submit_tool_outputs(thread, run, [], tool_approvals=[{"tool_call_id": …, "approve": True}])`.

    Every call is one request, never repeated, and raises SourceError if it fails. Its result has
    the answer that it came in as `.answer`. If `may_have_happened` of the error is true, look for
    the run before you send the same request again.
    """

    payload_format = snapshots.FORMAT
    needs_thread = True

    def __init__(
        self,
        base_url: str,
        api_key: ApiKey = None,
        *,
        name: str = "assistants",
        beta: str | None = "assistants=v2",
        api_version: str | None = None,
        auth_header: AuthHeader = "bearer",
        headers: Mapping[str, str] | None = None,
        **settings: Unpack[HttpSettings],
    ) -> None:
        super().__init__(
            base_url,
            api_key,
            name=name,
            api_version=api_version,
            auth_header=auth_header,
            headers={**({"OpenAI-Beta": beta} if beta else {}), **(headers or {})},
            **settings,
        )
        self.steps = Steps(self._transport)

    async def create(
        self,
        thread_id: str,
        *,
        assistant_id: str,
        additional_instructions: str | None = None,
        instructions: str | None = None,
        metadata: Mapping[str, str] | None = None,
        model: str | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        **more: Any,
    ) -> Run:
        """Starts a run of an assistant on a thread.

        Parameters that are None are left out. `more` is sent as it is, for other parameters of
        the service.
        """
        named = {
            "additional_instructions": additional_instructions,
            "instructions": instructions,
            "metadata": metadata,
            "model": model,
            "tools": tools,
        }
        given = {name: value for name, value in named.items() if value is not None}
        return await self._post(thread_id, document={"assistant_id": assistant_id, **given, **more})

    async def retrieve(self, thread_id: str, run_id: str) -> Run:
        """Returns one run as it is now."""
        path = runs_path(thread_id, run_id)
        answer, found = await self._transport.ask("GET", path)
        expected = _expected_fields(thread_id)
        answer, document = check_answer(f"GET {path}", answer, found, run_id, expected)
        return read_answer(Run, answer, document, f"GET {path}")

    async def update(
        self, thread_id: str, run_id: str, *, metadata: Mapping[str, str] | None
    ) -> Run:
        """Changes the metadata of a run."""
        return await self._post(thread_id, run_id, document={"metadata": metadata})

    async def cancel(self, thread_id: str, run_id: str) -> Run:
        """Asks for a run to stop; it is `cancelling` until it does."""
        return await self._post(thread_id, run_id, "cancel")

    async def submit_tool_outputs(
        self, thread_id: str, run_id: str, tool_outputs: Iterable[Mapping[str, Any]], **more: Any
    ) -> Run:
        """Submits the outputs of all calls that a run waits for.

        Each output has a `tool_call_id` and an `output`. `more` is sent as it is, for services
        that wait for other answers too; with it, empty outputs are left out.
        """
        outputs = [*tool_outputs]
        document = {**({"tool_outputs": outputs} if outputs or not more else {}), **more}
        return await self._post(thread_id, run_id, "submit_tool_outputs", document=document)

    async def list(
        self,
        thread_id: str,
        *,
        after: str | None = None,
        before: str | None = None,
        limit: int | None = None,
        order: Literal["asc", "desc"] | None = None,
    ) -> RunPage:
        """Returns a page of a thread's runs, the newest first unless `order` says otherwise."""
        query = page_query(after=after, before=before, limit=limit, order=order)
        expected = {"object": RUN_OBJECT, "thread_id": thread_id}
        return await ask_for_page(self._transport, runs_path(thread_id), RunPage, expected, query)

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        """Returns the answer about one run, checked to be about it and not decoded further.

        A body equal to `known`, that of an earlier answer, is not checked again. Raises
        RequestRefused if the thread is not known.
        """
        if not thread_id:
            raise _no_thread(run_id)
        path = runs_path(thread_id, run_id)
        answer, found = await self._transport.ask_about(path, known)
        if answer.body is not known:
            expected = _expected_fields(thread_id)
            answer, _ = check_answer(f"GET {path}", answer, found, run_id, expected)
        return answer

    async def fetch_page(
        self, thread_id: str, limit: int
    ) -> tuple[Answer, Sequence[Mapping[str, Any]]]:
        """Returns the newest runs of a thread, at most `limit` (up to 100)."""
        expected = {"object": RUN_OBJECT, "thread_id": thread_id}
        query = page_query(after=None, before=None, limit=limit, order="desc")
        answer, entries, _ = await ask_for_entries(
            self._transport, runs_path(thread_id), expected, query
        )
        return answer, entries

    async def fetch_runs(
        self, thread_id: str, after: str | None = None
    ) -> tuple[Answer, Sequence[Mapping[str, Any]], str | None]:
        """Returns up to 100 of a thread's runs, oldest first, and the id to go on after."""
        expected = {"object": RUN_OBJECT, "thread_id": thread_id}
        query = page_query(after=after, before=None, limit=100, order="asc")
        path = runs_path(thread_id)
        return await ask_for_entries(self._transport, path, expected, query, keeps_others=True)

    async def fetch_steps(
        self, thread_id: str | None, run_id: str, after: str | None = None
    ) -> tuple[Answer, Sequence[Mapping[str, Any]], str | None]:
        """Returns up to 100 of a run's steps, oldest first, and the id to go on after.

        Raises RequestRefused if the thread is not known.
        """
        if not thread_id:
            raise _no_thread(run_id)
        expected = {"object": STEP_OBJECT, "run_id": run_id, "thread_id": thread_id}
        query = page_query(after=after, before=None, limit=100, order="asc")
        path = runs_path(thread_id, run_id, "steps")
        return await ask_for_entries(self._transport, path, expected, query)

    def steps_snapshot(self, body: bytes | Mapping[str, Any] | RunStep) -> StepSnapshot:
        """Returns a step as a snapshot. Raises PayloadError as `snapshot` does."""
        return snapshots.step_snapshot(body)

    async def _post(
        self, thread_id: str, *more: str, document: dict[str, Any] | None = None
    ) -> Run:
        path = runs_path(thread_id, *more)
        expected = _expected_fields(thread_id, *more[:1])
        sent = None if document is None else without_stream(document)
        with admit_outcome("POST"):
            answer, found = await ask_for(self._transport, "POST", path, expected, sent)
            return read_answer(Run, answer, found, f"POST {path}")


def _expected_fields(thread_id: str, run_id: str | None = None) -> dict[str, str]:
    known = {"object": RUN_OBJECT, "thread_id": thread_id}
    return known if run_id is None else {**known, "id": run_id}


def _no_thread(run_id: str) -> RequestRefused:
    return RequestRefused(f"{run_id} is not asked about: say which thread it is in")
