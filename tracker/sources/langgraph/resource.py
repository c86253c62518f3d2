"""The source of runs of a LangGraph server."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, Unpack

from pydantic_core import to_json

from tracker.errors import Misconfigured, NotFound, RequestRefused
from tracker.sources.answer import Answer, count_requests
from tracker.sources.asked import check_answer
from tracker.sources.http.address import path_of
from tracker.sources.http.api_keys import ApiKey
from tracker.sources.http.requests import runs_path, warn_once
from tracker.sources.http.source import HttpSettings, HttpSource
from tracker.sources.http.transport import PAGE_CAP, AuthHeader
from tracker.sources.langgraph import snapshots
from tracker.sources.langgraph.snapshots import ERROR, INTERRUPTED, SUCCESS, with_state
from tracker.sources.wire import check_entity, entries_in, keep_fitting, misfit

Found = TypeVar("Found")

# Statuses that only the state of the thread explains.
_EXPLAINED_BY_STATE = (SUCCESS, ERROR, INTERRUPTED)
_STATE_FIELDS = frozenset(("values", "tasks", "next"))
# Answered by a server that runs, whatever it knows.
_ALIVE = "/ok"


class LangGraph(HttpSource):
    """A LangGraph server, as `langgraph dev` or a deployment serves it.

    The server reports `success` also for a run that stopped at an interrupt, and look-alikes say
    `interrupted`. So when the newest run of a thread reports its end, the thread's state is
    requested too, three requests in all: if the state has interrupts, or after `success` nodes to
    come, the run requires an action. It is completed once another run follows it on the thread,
    which is how an interrupt is answered. Without a state, or a list of runs, the run's own word
    counts.

    Its runs have no usage. The key is sent as `x-api-key` unless `auth_header` says otherwise.
    Nothing is opened before the first call.
    """

    payload_format = snapshots.FORMAT
    needs_thread = True

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

    def is_undecided(self, body: Mapping[str, Any]) -> bool:
        """True for a document that does not tell whether its run is done: the server is asked."""
        return snapshots.is_undecided(body)

    async def fetch(self, thread_id: str | None, run_id: str, known: bytes | None = None) -> Answer:
        """Returns the answer about one run, with the state of its thread if that explains it.

        Raises RequestRefused if the thread is not known.
        """
        if not thread_id:
            raise RequestRefused(f"{run_id} is not asked about: say which thread it is in")
        path = runs_path(thread_id, run_id)
        probes = runs_path(thread_id), _ALIVE
        answer, run = await self._transport.ask_about(path, known, probes=probes)
        if answer.body is known:
            return answer
        expected = {"thread_id": thread_id}
        answer, run = check_answer(f"GET {path}", answer, run, run_id, expected, "run_id")
        if run.get("status") not in _EXPLAINED_BY_STATE:
            return answer
        with count_requests(answer):
            second, newest = await self._try(self._runs(thread_id, 1))
        answer = _add(answer, second)
        if newest and newest[0]["run_id"] != run_id:
            return answer
        answer, run = await self._explain(answer, newest[0] if newest else run)
        return replace(answer, body=to_json(run))

    async def fetch_page(
        self, thread_id: str, limit: int
    ) -> tuple[Answer, Sequence[Mapping[str, Any]]]:
        """Returns the newest runs of a thread, at most `limit`, the newest one with the state."""
        answer, runs = await self._newest(thread_id, limit)
        return answer, [{**run, "id": run["run_id"]} for run in runs]

    async def fetch_runs(
        self, thread_id: str, after: str | None = None
    ) -> tuple[Answer, Sequence[Mapping[str, Any]], str | None]:
        """Returns up to 100 of a thread's runs, the newest first: the server has no other order.

        `after` is the number of runs on earlier pages. A run created meanwhile shifts the others,
        so that one may come twice, but none is missed.
        """
        offset = int(after or 0)
        answer, runs = await self._runs(thread_id, 100, offset, keeps_others=True)
        more = str(offset + len(runs)) if len(runs) >= 100 else None
        if not offset:
            answer = await self._explain_newest(answer, runs)
        return answer, [{**run, "id": run.get("run_id")} for run in runs], more

    async def _newest(self, thread_id: str, limit: int) -> tuple[Answer, list[dict[str, Any]]]:
        answer, runs = await self._runs(thread_id, limit)
        return await self._explain_newest(answer, runs), runs

    async def _explain_newest(self, answer: Answer, runs: list[dict[str, Any]]) -> Answer:
        """Adds the state of the thread to its newest run, if that explains its status."""
        if not runs or runs[0].get("status") not in _EXPLAINED_BY_STATE:
            return answer
        answer, runs[0] = await self._explain(answer, runs[0])
        return answer

    async def _runs(
        self, thread_id: str, limit: int, offset: int = 0, *, keeps_others: bool = False
    ) -> tuple[Answer, list[dict[str, Any]]]:
        """Returns runs of a thread, without entries that are none unless `keeps_others`."""
        path = runs_path(thread_id)
        query = [("limit", str(limit)), ("offset", str(offset))]
        answer, found = await self._transport.ask(
            "GET", path, cap=PAGE_CAP, query=query, is_list=True
        )
        entries = entries_in(f"GET {path}", found)
        fitting, refusal = keep_fitting(
            entries, lambda run: _check(f"GET {path}", run, {"thread_id": thread_id})
        )
        if refusal is not None and not keeps_others:
            warn_once(str(refusal))
        return answer, entries if keeps_others else fitting

    async def _explain(
        self, answer: Answer, run: Mapping[str, Any]
    ) -> tuple[Answer, dict[str, Any]]:
        """Adds the state of its thread to a run; without such a state, its own word counts."""
        path = path_of("threads", str(run["thread_id"]), "state")
        with count_requests(answer):
            second, state = await self._try(self._transport.ask("GET", path, cap=PAGE_CAP))
            if state is not None and not _STATE_FIELDS & state.keys():
                raise misfit(f"GET {path} brought no state of a thread.")
        return _add(answer, second), dict(run) if state is None else with_state(run, state)

    @staticmethod
    async def _try(
        request: Awaitable[tuple[Answer, Found]],
    ) -> tuple[Answer | None, Found | None]:
        """Returns the result of a request, and nothing if the server has no such thing."""
        try:
            return await request
        except (NotFound, Misconfigured, RequestRefused):
            return None, None


def _add(answer: Answer, second: Answer | None) -> Answer:
    """Returns an answer with the times and the requests of the next, None for a refused one."""
    if second is None:
        return replace(answer, requests=answer.requests + 1)
    return answer.then(second)


def _check(request: str, run: Mapping[str, Any], expected: Mapping[str, str]) -> None:
    check_entity(request, {**run, "id": run.get("run_id")}, expected)
