"""The runs of a LangGraph server, to be watched: what they do, wait for and come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from pydantic_core import to_json

from tracker.errors import Misconfigured, NotFound, RequestRefused, SourceError, UnusableAnswer
from tracker.sources.answer import Answer, following
from tracker.sources.http.address import path_of
from tracker.sources.http.api_keys import ApiKey
from tracker.sources.http.requests import check, runs_path
from tracker.sources.http.source import HttpSettings, HttpSource
from tracker.sources.http.transport import PAGE_CAP, AuthHeader
from tracker.sources.langgraph import snapshots
from tracker.sources.langgraph.snapshots import ERROR, SUCCESS, with_state

# What the run itself does not say of its end, the state of its thread does.
_EXPLAINED_BY_STATE = (SUCCESS, ERROR)


class LangGraph(HttpSource):
    """A LangGraph server, as `langgraph dev` or a deployment serves it. Opens nothing at first.

    The server calls a run a success also where it stopped at an interrupt. So when a run says
    that it is done and is the newest of its thread, the thread's state is asked too, three
    requests in all: where that has interrupts, or nodes to come, the run requires an action. It
    is completed once another run follows it on the thread, which is how an interrupt is answered.

    There is no usage in its runs. The key goes as `x-api-key` unless `auth_header` says otherwise.
    """

    payload_format = snapshots.FORMAT

    def __init__(
        self,
        base_url: str,
        api_key: ApiKey = None,
        *,
        name: str = "langgraph",
        auth_header: AuthHeader = "x-api-key",
        headers: Mapping[str, str] | None = None,
        **settings: Unpack[HttpSettings],
    ) -> None:
        super().__init__(
            base_url, api_key, name=name, auth_header=auth_header, headers=headers, **settings
        )

    async def fetch(self, thread_id: str, run_id: str, known: bytes | None = None) -> Answer:
        """The answer about one run, with what the state of its thread says of it.

        Raises RequestRefused where the thread is not known.
        """
        if not thread_id:
            raise RequestRefused(f"{run_id} is not asked about: say which thread it is in")
        path = runs_path(thread_id, run_id)
        try:
            answer, run = await self._transport.ask("GET", path, known=known)
        except Misconfigured as error:
            await self._is_missing(thread_id, run_id, error)
            raise
        if answer.body is known:
            return answer
        _check(f"GET {path}", run, {"run_id": run_id, "thread_id": thread_id})
        if run.get("status") not in _EXPLAINED_BY_STATE:
            return answer
        with following(answer):
            seen, newest = await self._runs(thread_id, 1)
        if not newest or newest[0]["run_id"] != run_id:
            return answer.then(seen)
        answer = answer.then(seen)
        with following(answer):
            seen, run = await self._explained(newest[0])
        return answer.then(seen, to_json(run))

    async def fetch_page(
        self, thread_id: str, limit: int
    ) -> tuple[Answer, Sequence[Mapping[str, Any]]]:
        """The newest runs of a thread, at most `limit`, the newest with what the state says."""
        answer, runs = await self._newest(thread_id, limit)
        return answer, [{**run, "id": run["run_id"]} for run in runs]

    async def fetch_runs(
        self, thread_id: str, after: str | None = None
    ) -> tuple[Answer, Sequence[Mapping[str, Any]], str | None]:
        """A page of up to 100 of a thread's runs, the newest first: the server has no other order.

        `after` is how many were shown before. A run that begins meanwhile moves the others on, so
        that one may be shown twice, but none is passed over.
        """
        offset = int(after or 0)
        ask = self._runs(thread_id, 100, offset) if offset else self._newest(thread_id, 100)
        answer, runs = await ask
        more = str(offset + len(runs)) if len(runs) >= 100 else None
        return answer, [{**run, "id": run["run_id"]} for run in runs], more

    async def _newest(self, thread_id: str, limit: int) -> tuple[Answer, list[dict[str, Any]]]:
        answer, runs = await self._runs(thread_id, limit)
        if runs and runs[0].get("status") in _EXPLAINED_BY_STATE:
            with following(answer):
                seen, runs[0] = await self._explained(runs[0])
            answer = answer.then(seen)
        return answer, runs

    async def _runs(
        self, thread_id: str, limit: int, offset: int = 0
    ) -> tuple[Answer, list[dict[str, Any]]]:
        path = runs_path(thread_id)
        query = [("limit", str(limit)), ("offset", str(offset))]
        answer, found = await self._transport.ask(
            "GET", path, cap=PAGE_CAP, query=query, listed=True
        )
        runs = [run for run in found["data"] if isinstance(run, dict)]
        for run in runs:
            _check(f"GET {path}", run, {"thread_id": thread_id})
        return answer, runs

    async def _explained(self, run: Mapping[str, Any]) -> tuple[Answer, dict[str, Any]]:
        path = path_of("threads", str(run["thread_id"]), "state")
        answer, state = await self._transport.ask("GET", path, cap=PAGE_CAP)
        if "values" not in state and "tasks" not in state:
            raise UnusableAnswer(f"GET {path} brought no state of a thread.")
        return answer, with_state(run, state)

    async def _is_missing(self, thread_id: str, run_id: str, error: Misconfigured) -> None:
        """Raises NotFound where the thread is there: the server says of both only `Not Found`."""
        missing = NotFound(f"there is no run {run_id} on {thread_id}: it may have been rolled back")
        error.requests = missing.requests = 2
        try:
            await self._runs(thread_id, 1)
        except Misconfigured:
            raise error from None
        except SourceError as failed:
            failed.requests = 2
            raise
        raise missing


def _check(asked: str, run: Mapping[str, Any], expected: Mapping[str, str]) -> None:
    check(asked, {**run, "id": run.get("run_id")}, expected)
